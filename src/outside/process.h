// Another process, seen from outside: we neither stop it nor run anything in it.
//
// We read everything below one folder, /proc/PID or a recording of it (maps, status, environ,
// cmdline, root/ with the module files, and `memory`: lines of "address hexbytes"), so that torn
// and hostile processes can be kept as tests. `notes` says what we may not read; we never guess.
#pragma once

#include <string>
#include <vector>

#include "base/error.h"
#include "module.h"

namespace corewise::outside {

struct Process {
  int pid = 0;          // 0 for a recording that does not tell
  std::string command;  // arguments separated by spaces, else the short name
  int threads = 0;      // 0: not known
  std::string cpus;     // CPUs its main thread may run on, as the kernel writes the list
  std::vector<std::string> environment;  // NAME=value, as the process was started
  std::vector<OutsidePool> pools;        // in order of address
  std::vector<std::string> libraries;    // known ones that are no runtime, such as "polars"; sorted
  bool memory_refused = false;           // only its files were read
  std::vector<std::string> notes;        // what could not be seen, and why
};

// CW_NO_SUCH_PROCESS, CW_NOT_PERMITTED, CW_PROCESS_ENDED, CW_NOT_AVAILABLE (no libraries: a kernel
// thread) or CW_IO_ERROR, with a sentence that names the pid and the remedy.
Result<Process> read_process(int pid);

// The same from a folder laid out like /proc/PID.
Result<Process> read_recorded(const std::string& folder);

}  // namespace corewise::outside
