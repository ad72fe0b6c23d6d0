// What a recording of `corewise record` says (docs/record.md).
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "error.h"

namespace corewise::cli {

// Half a thread more than there are CPUs is still rounding: threads hand over to one another.
inline constexpr double kTolerance = 0.5;

struct Lane {
  int tid = 0;
  std::string pool;               // "program", a runtime, or "" where it is not known
  std::vector<float> cpu, delay;  // share of each bin
  double busy_s = 0;
};

struct LaneGroup {
  int pid = 0;
  std::string command;
  std::map<int, Lane> lanes;  // by tid
};

struct Recording {
  std::string command;
  std::string time;
  double budget = 1;
  double seconds = 0;
  std::vector<float> wanted;      // threads that ran or were ready to, by bin
  std::vector<LaneGroup> groups;  // in order of their start
  double over_s = 0;              // of the time, more threads wanted to run than the budget
  double over_wanted = 0;         // and then so many on average
};

// From the lines of `corewise record`, in at most `bins` equal parts. CW_BAD_ARGUMENT names the
// line that is none; a last line that was cut short is left out.
Result<Recording> read_recording(std::string_view text, int bins);

// "Oversubscribed for 37 % of the time (4.1 of 11.2 s): ..."
std::string verdict_of(const Recording& recording);

}  // namespace corewise::cli
