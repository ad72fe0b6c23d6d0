// The last way to limit a process: its memory is written to, and nothing runs in it.
#pragma once

#include <vector>

#include "base/error.h"
#include "control_client.h"
#include "limits/limit.h"

namespace corewise::cli {

// Stores smaller counts where the libraries of the process keep theirs: what OpenBLAS over pthreads
// itself does when a program lowers its count, without a lock. Needs the rights of ptrace; the
// process is not stopped. The answer is as the control socket's to "limit" (docs/control.md).
Result<Answer> limit_by_force(int pid, const std::vector<Rule>& rules, bool dry_run);

}  // namespace corewise::cli
