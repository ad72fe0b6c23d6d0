// The last way to limit a process: its memory is written to, and nothing runs in it.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "commands.h"

namespace corewise::cli {

struct ForcedCount {
  bool is_api = false;  // else a runtime, file-name prefix or library file
  std::string name;
  int threads = 0;
};

// Stores smaller counts where the libraries of the process keep theirs: what OpenBLAS over pthreads
// itself does when a program lowers its count, without a lock. Needs the rights of ptrace; the
// process is not stopped. Says old and new of each pool, and which could not be reached. Returns an
// exit code.
int limit_by_force(int pid, const std::vector<ForcedCount>& counts, bool dry_run,
                   const Context& context);

}  // namespace corewise::cli
