// The last resort to limit a process: we write to its memory and run nothing in it.
#pragma once

#include <vector>

#include "base/error.h"
#include "control/answer_records.h"
#include "limits/limit.h"

namespace corewise::cli {

// Stores smaller counts where the libraries of the process keep theirs. OpenBLAS over pthreads does
// the same, without a lock, when a program lowers its count. Needs the rights of ptrace; does not
// stop the process.
Result<control::LimitAnswer> limit_by_force(int pid, const std::vector<Rule>& rules, bool dry_run);

}  // namespace corewise::cli
