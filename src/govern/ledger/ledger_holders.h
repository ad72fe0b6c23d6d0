// Which process holds what in the ledgers, for people; and which ledger files are no longer needed.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "advice/facts.h"
#include "os/machine.h"

namespace corewise::govern {

// The calling user's ledgers in a directory, and the processes that hold threads of them.
std::vector<HeldLedger> held_ledgers(const std::string& directory = "/dev/shm");

// A process of the calling user.
struct UserProcess {
  int pid = 0;
  std::uint64_t start_ticks = 0;  // since the machine was started; 0: not known
};

// Those that have this file mapped; none if there is no such file, and no value if the processes
// cannot be listed. We may not read the maps of some processes (ssh-agent): these are found only by
// their word, after their first region.
std::optional<std::vector<UserProcess>> processes_with(const std::string& path);

// Apart for tests: how long ago the process last ran, in seconds.
std::optional<double> idle_of(const os::Machine& machine, int pid);

// What the process was started as, cut short.
std::string program_name(int pid);

// Removes ledger files that no living process is in or has mapped, except `keep`. Holds each file's
// lock meanwhile (ledger_shm.cpp), so that nobody opens what is being removed. Reads the maps of
// the user's processes only if there is such a file.
void sweep_ledgers(const std::string& directory, std::string_view keep);

}  // namespace corewise::govern
