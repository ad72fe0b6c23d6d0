// A jobserver for the program that this process is about to become: what GNU make, ninja and cargo
// take their jobs' tokens from, so that a build stays in the budget together with all else in it.
// A process of its own fills it (job_keeper.h); it ends when the program has ended, however that
// ended. The program is nobody's child but its parent's, and has no child that it did not start.
#pragma once

#include <optional>
#include <string>

#include "base/error.h"
#include "job_keeper.h"
#include "job_words.h"

namespace corewise::cli {

struct JobserverOptions {
  jobs::Form form = jobs::Form::kFifo;
  int most = jobs::kNoMost;  // jobs that the user of the build allows
};

// Makes it and starts its keeper, in the environment of the program. Returns what follows
// --jobserver-auth= in MAKEFLAGS.
Result<std::string> start_jobserver(const JobserverOptions& options);

}  // namespace corewise::cli
