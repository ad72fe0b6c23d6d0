// What a recording of `corewise record` says (docs/record.md).
#pragma once

#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/json_reader.h"

namespace corewise::cli {

// Half a thread more than there are CPUs is still rounding: threads hand over to one another.
inline constexpr double kTolerance = 0.5;

// The `pool` in a "thread" event of a thread that answers on the control socket: not the program's.
inline constexpr const char* kOwnThreads = "corewise";

struct Lane {
  int tid = 0;
  std::string pool;               // "program", a runtime, or "" where it is not known
  std::vector<float> cpu, delay;  // share of each bin
  double busy_s = 0;              // on a CPU
  double delay_s = 0;             // ready to run, and without one
};

struct LaneGroup {
  int pid = 0;
  std::string command;
  std::map<int, Lane> lanes;  // by tid

  double busy_s() const;
};

struct Recording {
  std::string command;
  std::string time;
  double budget = 1;
  double seconds = 0;
  std::vector<float> wanted;       // threads that ran or were ready to, by bin
  std::vector<LaneGroup> groups;   // in order of their start
  double over_s = 0;               // time in which more threads wanted to run than the budget
  double over_wanted = 0;          // how many wanted to then, on average
  double busy_s = 0, delay_s = 0;  // of all threads
  double others = 0;               // threads of other programs that were ready, on average
};

// The lines of a recording; CW_BAD_ARGUMENT names the line that is not JSON. Leaves out a last line
// that was cut short.
Result<std::vector<JsonValue>> read_lines(std::string_view text);

// The threads that are corewise's own, as pid and tid.
std::set<std::pair<int, int>> own_threads(const std::vector<JsonValue>& lines);

// From the lines of `corewise record`, in at most `bins` equal parts.
Recording recording_of(const std::vector<JsonValue>& lines, int bins);

// That many ready threads of other programs change what a program does.
constexpr double kOthersCount = 0.5;

// Whether there were too many threads never, or too briefly for anything to be done about it.
bool fits(const Recording& recording);

// "Too many threads for 37 % of the time (4.1 of 11.2 s): ..." And how much of it is due to others.
std::string verdict_of(const Recording& recording);

}  // namespace corewise::cli
