// Runs a program to its end or its time limit, and keeps what it prints.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "base/error.h"

namespace corewise::cli {

struct Captured {
  int status = 0;  // as waitpid returns it
  bool timed_out = false;
  int interrupted = 0;  // a signal that somebody sent us meanwhile; 0: none
  double seconds = 0;
  std::string out;
  std::string err;
};

// Runs `become` in a child with its own process group and an empty standard input; `become` returns
// an exit code only if the program could not be started. Calls `ended` once the program has ended
// or its time, in seconds, is over, then kills the rest of the group. An error says why there is
// no child.
Result<Captured> run_captured(const std::function<int()>& become, std::optional<double> time,
                              const std::function<void()>& ended);

}  // namespace corewise::cli
