// What the processes of `corewise run --report` wrote, read and added up.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "govern/grants/gate.h"

namespace corewise::cli {

using govern::gate::Tally;

// What the processes left.
struct Collected {
  std::string lines;
  std::string pages;  // counts of killed processes
};

// Regions and calls.
inline std::uint64_t asked(const Tally& tally) { return tally.regions + tally.calls; }

struct ReportedProcess {
  long pid = 0;
  std::string command;
  bool ended = false;
  std::string_view line;  // its last line
  std::optional<std::size_t> page;
  Tally tally;
  bool has_pools = false;
};

// What a name in COREWISE_BEND matched.
struct NamedBend {
  std::string name;
  std::vector<std::string> paths;
};

struct Report {
  std::vector<ReportedProcess> processes;  // in order of their start
  Tally sum;
  std::vector<std::string> findings;
  std::vector<std::string> region_modules;
  std::vector<std::string> bending;
  std::vector<NamedBend> named;
  std::vector<std::string> unmatched;  // findings: names that matched nothing
};

// The views in it point into `collected`.
Report read_report(const Collected& collected);

// A zombie has ended, even if its parent has not waited for it.
bool runs_still(const ReportedProcess& process);

}  // namespace corewise::cli
