// Records what ran when: samples the threads of some processes and of all that they start, many
// times a second and from outside, and writes lines of JSON (docs/record.md).
#pragma once

#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "observe/tasks.h"

namespace corewise::cli {

class Recorder {
 public:
  using Write = std::function<void(const std::string& line)>;

  // Records `root` and what it starts, or without `root` itself if `itself` is false.
  Recorder(int root, bool itself, double interval_s, Write write);

  void begin(double budget, const std::string& command);
  // One sample; false if no process is left.
  bool sample();
  void end();

 private:
  struct Seen {
    std::uint64_t start = 0;
    std::uint64_t cpu_ns = 0;
    std::uint64_t delay_ns = 0;
    bool told = false;  // its pool is already written
  };
  struct Process {
    double asked_s = -1;  // when we last asked which pools its threads belong to
    bool has_unknown = false;
    std::string command;
  };

  double now_s() const;
  void find_processes();
  void ask(int pid, Process& process);

  int root_;
  bool itself_;
  double interval_s_;
  Write write_;
  double begin_s_ = 0;
  double last_s_ = 0;
  double searched_s_ = -1;
  std::map<int, Process> processes_;
  std::map<int, Seen> threads_;  // by tid
};

}  // namespace corewise::cli
