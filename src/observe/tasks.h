// The threads of a process as the kernel counts them: which run, which wait, and for how long each
// did.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace corewise::observe {

struct Task {
  int tid = 0;
  int parent = 0;            // the parent of its process
  char state = '?';          // 'R': it runs, or would if there were a free CPU
  std::uint64_t start = 0;   // clock ticks since boot; tells a thread from a later one
  std::uint64_t cpu_ns = 0;  // time on a CPU
  std::uint64_t delay_ns =
      0;  // time that it was ready to run and no CPU was free; 0 if not counted
};

// All threads of /proc/PID, in order of their ids; threads that end meanwhile are left out. Empty
// if there is no such process, or it may not be read.
std::vector<Task> read_tasks(const std::string& folder);

// The main thread of every process that may be seen, without delays.
std::vector<Task> read_processes();

// From a thread's stat line and schedstat; tid 0 if the line is not valid.
Task parse_task(std::string_view stat, std::string_view schedstat);

}  // namespace corewise::observe
