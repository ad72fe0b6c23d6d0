#include "top_screen.h"

#include <fmt/format.h>

#include <algorithm>

#include "layout.h"
#include "text.h"

namespace corewise::cli {
namespace {

constexpr const char* kKeys = "up/down select   l limit   u undo limits   g govern   q quit";

std::string cut_to(const std::string& text, int width, bool unicode) {
  std::string line = text;
  if (width_of(line) <= width) return line;
  while (!line.empty() && width_of(line) > width - 1) {
    do line.pop_back();
    while (!line.empty() && (static_cast<unsigned char>(line.back()) & 0xc0u) == 0x80u);
  }
  return line + (unicode ? "…" : ">");
}

std::string percent(double share) { return fmt::format("{:.0f}", 100 * share); }

std::string head(const View& view, const Style& style) {
  const int running = view.running();
  std::string line = fmt::format("corewise top   budget {} CPUs   {} thread{} running",
                                 format_cpus(view.budget), running, running == 1 ? "" : "s");
  if (view.ledger_budget > 0) {
    line += fmt::format("   granted {} of {}", view.granted, view.ledger_budget);
  }
  if (view.throttled_s() > 0) line += fmt::format("   throttled {:.1f} s", view.throttled_s());
  return painted(cut_to(line, style.width, style.unicode), Paint::kBold, style);
}

// In words, since colour alone tells nobody.
std::string verdict(const View& view, const Style& style) {
  const double over = view.running() - view.budget;
  const bool none = view.processes.empty();
  std::string text = "within the budget";
  if (none) text = "No process of yours has a control socket or is governed.";
  if (over >= 1) {
    text = fmt::format("OVERSUBSCRIBED: {:.0f} more thread{} than there are CPUs", over,
                       over < 1.5 ? " runs" : "s run");
  }
  text = cut_to(text, style.width, style.unicode);
  return none ? text : painted(text, over >= 1 ? Paint::kRed : Paint::kGreen, style);
}

std::string limits_of(const WatchedProcess& process) {
  std::vector<std::pair<std::string, int>> tightest;  // by API
  for (const WatchedPool& pool : process.pools) {
    if (pool.limit == 0) continue;
    auto known = std::ranges::find(tightest, pool.api, &std::pair<std::string, int>::first);
    if (known == tightest.end()) known = tightest.insert(known, {pool.api, pool.limit});
    known->second = std::min(known->second, pool.limit);
  }
  std::string text;
  for (const auto& [api, limit] : tightest) {
    text += fmt::format("{}{}={}", text.empty() ? "" : " ", api, limit);
  }
  return text.empty() ? "-" : text;
}

// `limits` is how wide their column is.
std::string process_line(const WatchedProcess& process, bool selected, int limits,
                         const Style& style) {
  const std::string granted = process.granted    ? std::to_string(*process.granted)
                              : process.governed ? "0"
                                                 : "-";
  const std::string line = fmt::format(
      "{} {:>7} {:>7} {:>4} {:>5} {:>6} {:>7}  {:<{}}  {}", selected ? ">" : " ", process.pid,
      process.threads, process.running, percent(process.rate.cpu), percent(process.rate.delay),
      granted, limits_of(process), limits, printable(process.command, style.unicode));
  const std::string shown = cut_to(line, style.width, style.unicode);
  return selected ? painted(shown, Paint::kBold, style) : shown;
}

std::vector<std::string> pool_lines(const WatchedProcess& process, const Style& style) {
  if (!process.answers) {
    return {cut_to(fmt::format("Process {} does not answer: its pools are not known.", process.pid),
                   style.width, style.unicode)};
  }
  if (process.pools.empty()) {
    return {cut_to(fmt::format("Process {} has no thread pools.", process.pid), style.width,
                   style.unicode)};
  }
  std::vector<std::string> lines;
  lines.push_back(fmt::format("Pools of {:<8} {:>7} {:>4} {:>5} {:>5} {:>5} {:>6}  LIBRARY",
                              process.pid, "ALLOWED", "RUN", "WAIT", "SPIN", "CPU%", "DELAY%"));
  lines.back() = painted(cut_to(lines.back(), style.width, style.unicode), Paint::kBold, style);
  for (const WatchedPool& pool : process.pools) {
    const std::string allowed = pool.allowed > 0 ? std::to_string(pool.allowed) : "?";
    const std::string spinning = pool.spinning ? std::to_string(*pool.spinning) : "-";
    const std::string line =
        fmt::format("  {:<15} {:>7} {:>4} {:>5} {:>5} {:>5} {:>6}  {}", pool.runtime, allowed,
                    pool.running, pool.workers - pool.running, spinning, percent(pool.rate.cpu),
                    percent(pool.rate.delay), printable(pool.library, style.unicode));
    lines.push_back(cut_to(line, style.width, style.unicode));
  }
  return lines;
}

}  // namespace

std::vector<std::string> top_screen(const View& view, const TopState& state, const Style& style,
                                    int rows) {
  std::vector<std::string> lines = {head(view, style), verdict(view, style), ""};
  const auto chosen = std::ranges::find(view.processes, state.selected, &WatchedProcess::pid);
  std::vector<std::string> below;
  if (chosen != view.processes.end()) {
    below = pool_lines(*chosen, style);
    below.insert(below.begin(), "");
  }
  int limits = 6;
  for (const WatchedProcess& process : view.processes) {
    limits = std::max(limits, width_of(limits_of(process)));
  }
  const std::string columns =
      fmt::format("  {:>7} {:>7} {:>4} {:>5} {:>6} {:>7}  {:<{}}  {}", "PID", "THREADS", "RUN",
                  "CPU%", "DELAY%", "GRANTED", "LIMITS", limits, "COMMAND");
  if (!view.processes.empty()) {
    lines.push_back(painted(cut_to(columns, style.width, style.unicode), Paint::kBold, style));
  }
  // The list gets what the head, the pools, a message and the keys leave.
  constexpr std::size_t kFoot = 2;
  std::size_t room = view.processes.size();
  if (rows > 0) {
    const auto all = static_cast<std::size_t>(rows);
    if (below.size() > all / 2) below.resize(all / 2);
    const std::size_t taken = lines.size() + below.size() + kFoot;
    room = std::min(room, all > taken + 1 ? all - taken : 1);
  }
  const auto at = static_cast<std::size_t>(chosen - view.processes.begin());
  const std::size_t first = chosen != view.processes.end() && at >= room ? at - room + 1 : 0;
  for (std::size_t i = first; i < std::min(first + room, view.processes.size()); ++i) {
    const WatchedProcess& process = view.processes[i];
    lines.push_back(process_line(process, process.pid == state.selected, limits, style));
  }
  lines.insert(lines.end(), below.begin(), below.end());
  if (rows == 0) return lines;
  const auto all = static_cast<std::size_t>(rows);
  lines.resize(all > kFoot ? all - kFoot : 0);
  const std::string last = state.prompt.empty() ? state.message : state.prompt + state.typed + "_";
  lines.push_back(cut_to(printable(last, style.unicode), style.width, style.unicode));
  lines.push_back(painted(cut_to(kKeys, style.width, style.unicode), Paint::kDim, style));
  lines.resize(all);
  return lines;
}

}  // namespace corewise::cli
