// What the kernel tells about a process and the machine, even if the process does not answer.
#pragma once

#include <optional>
#include <string>

namespace corewise::cli {

bool is_there(int pid);

// Threads on this machine that run or are ready to, including the caller; no value if not known.
std::optional<double> machine_ready();

// The arguments of a process, separated by spaces; its short name where it has none.
std::string command_of(int pid);

}  // namespace corewise::cli
