// The last way to limit a process: its memory is written to, and nothing runs in it.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "control_client.h"
#include "error.h"

namespace corewise::cli {

struct AskedCount {
  bool is_api = false;  // else a runtime, file-name prefix or library file
  std::string name;
  int threads = 0;
};

// Stores smaller counts where the libraries of the process keep theirs: what OpenBLAS over pthreads
// itself does when a program lowers its count, without a lock. Needs the rights of ptrace; the
// process is not stopped. The answer is as the control socket's to "limit" (docs/control.md).
Result<Answer> limit_by_force(int pid, const std::vector<AskedCount>& counts, bool dry_run);

}  // namespace corewise::cli
