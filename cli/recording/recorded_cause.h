// Why more threads were ready than there are CPUs, and the command that ends it.
#pragma once

#include <string>

#include "recording.h"

namespace corewise::cli {

struct RecordedCause {
  std::string cause;  // "4 processes × 2 OpenBLAS threads = 8 threads for 2 CPUs."; "": not known
  std::string cure;   // "corewise run -- python train.py"; both empty where nothing is wrong
};

// Looks at the moment when most processes were busy. `unicode`: the output can show '×'.
RecordedCause cause_of(const Recording& recording, bool unicode);

// "4 processes × 2 ... for 2 CPUs. What to do: corewise run -- ..."; "" where nothing is wrong.
std::string advice_of(const Recording& recording, bool unicode);

}  // namespace corewise::cli
