// What the kernel tells of a process and of the machine, whether or not anybody answers.
#pragma once

#include <optional>
#include <string>

namespace corewise::cli {

bool is_there(int pid);

// Threads on this machine that run or are ready to, the caller included; nothing if not told.
std::optional<double> machine_ready();

// The arguments of a process, separated by spaces; its short name where it has none.
std::string command_of(int pid);

double monotonic_s();

}  // namespace corewise::cli
