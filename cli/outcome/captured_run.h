// A program that runs to its end, or until its time is over, with what it prints kept.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "base/error.h"

namespace corewise::cli {

struct Captured {
  int status = 0;  // as waitpid has it
  bool timed_out = false;
  int interrupted = 0;  // the signal that was sent to us meanwhile; 0: none
  double seconds = 0;
  std::string out;
  std::string err;
};

// Runs `become` in a child with a process group of its own, nothing on its standard input; it
// returns an exit code only if the program could not be started. `ended` is called when the program
// has ended, or its time, in seconds, is over; then what is left of the group is killed. An error
// says why there was no child.
Result<Captured> run_captured(const std::function<int()>& become, std::optional<double> time,
                              const std::function<void()>& ended);

}  // namespace corewise::cli
