// Why more threads are ready than there are CPUs, and the command that ends it.
#pragma once

#include <string>

#include "reach/process_watch.h"

namespace corewise::cli {

struct Advice {
  std::string cause;  // "4 processes × 2 OpenBLAS threads = 8 threads for 2 CPUs."
  std::string cure;   // "corewise govern --pid 4711"; both empty where nothing is wrong, this one
                      // also where no process answers
  char key = '\0';    // in `corewise top`, does the same to the selected process
};

// `unicode`: the terminal can show a multiplication sign.
Advice advice_for(const View& view, bool unicode);

}  // namespace corewise::cli
