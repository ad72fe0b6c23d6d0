// The tables of `corewise top`: the processes, and the pools of one of them.
#pragma once

#include <string>
#include <vector>

#include "reach/process_watch.h"
#include "shell/output.h"

namespace corewise::cli {

// The heads, then a line for each process; the one with the pid `selected` is marked.
std::vector<std::string> process_table(const std::vector<const WatchedProcess*>& processes,
                                       int selected, const Style& style);

// The pools of a process, or why they are unknown.
std::vector<std::string> pool_table_of(const WatchedProcess& process, const Style& style);

}  // namespace corewise::cli
