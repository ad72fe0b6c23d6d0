// `corewise top` on a terminal: takes views, draws them, and does what the keys say.
#pragma once

#include "shell/output.h"

namespace corewise::cli {

// Runs until the user quits; returns the exit code.
int run_top(const Settings& settings, int interval_ms);

}  // namespace corewise::cli
