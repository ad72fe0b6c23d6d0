#include "node_screen.h"

#include <fmt/format.h>

#include <cmath>
#include <vector>

#include "base/text.h"
#include "screen/row_table.h"

namespace corewise::cli {
namespace {

// As in top_verdict.cpp: half a thread more than there are CPUs is rounding.
constexpr double kTolerance = 0.5;
constexpr std::size_t kMostProcesses = 20;

std::string rounded(double count) {
  return format_cpus(static_cast<double>(std::lround(10 * count)) / 10);
}

std::string percent(double share) { return fmt::format("{:.0f}", 100 * share); }

std::string verdict(const NodeView& view) {
  const std::string ready = rounded(view.ready());
  const std::string threads =
      fmt::format("{} {} ready to run", ready, ready == "1" ? "thread is" : "threads are");
  const std::string cpus = counted(view.cpus, "CPU");
  if (view.ready() <= view.cpus + kTolerance) {
    return fmt::format("{} on this machine, which has {}: they fit.", threads, cpus);
  }
  const BusyUser& most = view.users.front();
  return fmt::format("TOO MANY: {} on this machine, which has {}. Most are {}'s: {}.", threads,
                     cpus, most.name, rounded(most.ready()));
}

const char* governed(const BusyProcess& process) {
  switch (process.governed) {
    case BusyProcess::Governed::no:
      return "no";
    case BusyProcess::Governed::yes:
      return "yes";
    case BusyProcess::Governed::unknown:
      break;
  }
  return "?";
}

std::string what_is_missing(const NodeView& view) {
  if (view.hides) {
    return "/proc hides other users' processes from you (hidepid): these are your own. root sees "
           "all of them.";
  }
  if (!view.is_root) return "?: only root can see whether that program is governed.";
  return {};
}

}  // namespace

std::string node_screen(const NodeView& view, const Style& style) {
  std::string out = painted(folded(verdict(view), 0, 0, style.width), Paint::kBold, style) + "\n";
  std::vector<std::vector<std::string>> users;
  std::vector<std::vector<std::string>> processes;
  std::size_t left_out = 0;
  for (const BusyUser& user : view.users) {
    users.push_back({rounded(user.ready()), percent(user.cpu), percent(user.delay),
                     std::to_string(user.processes.size()), printable(user.name, style.unicode)});
    for (const BusyProcess& process : user.processes) {
      if (processes.size() == kMostProcesses) {
        ++left_out;
        continue;
      }
      processes.push_back({std::to_string(process.pid), std::to_string(process.threads),
                           rounded(process.ready()), governed(process),
                           printable(user.name, style.unicode),
                           printable(process.name, style.unicode)});
    }
  }
  if (!users.empty()) {
    const std::vector<RowColumn> user_columns = {
        {"READY", 7}, {"CPU%", 5}, {"DELAY%", 6}, {"PROGRAMS", 8}, {"USER", 0, 0, false}};
    const std::vector<RowColumn> columns = {{"PID", 7},
                                            {"THREADS", 7, 2},
                                            {"READY", 5},
                                            {"GOVERNED", 8, 1, false},
                                            {"USER", 8, 0, false},
                                            {"PROGRAM", 0, 0, false}};
    constexpr int kLeast = 12;  // columns for a name
    for (const auto& part : {row_table(user_columns, users, kLeast, style),
                             row_table(columns, processes, kLeast, style)}) {
      out += '\n';
      for (const std::string& line : part) out += line + "\n";
    }
  }
  if (left_out > 0) out += fmt::format("{} more.\n", left_out);
  if (const std::string missing = what_is_missing(view); !missing.empty()) {
    out += "\n" + painted(folded(missing, 0, 0, style.width), Paint::kDim, style) + "\n";
  }
  return out;
}

}  // namespace corewise::cli
