// What `corewise top` says of a view in one sentence.
#pragma once

#include <string>

#include "reach/process_watch.h"

namespace corewise::cli {

enum class Situation {
  no_process,
  too_many,
  quota_pauses,
  others_take,
  bound_together,
  idle,
  fits
};

struct Verdict {
  Situation situation = Situation::no_process;
  std::string text;
};

Verdict verdict_of(const View& view);

// How many threads the ledgers granted, and why that may be more than their budget; "" where there
// is no ledger.
std::string grants_in_words(const View& view);

}  // namespace corewise::cli
