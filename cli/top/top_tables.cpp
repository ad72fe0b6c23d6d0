#include "top_tables.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>
#include <utility>

#include "base/text.h"
#include "screen/layout.h"
#include "screen/row_table.h"

namespace corewise::cli {
namespace {

std::string percent(double share) { return fmt::format("{:.0f}", 100 * share); }

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

// Why the process does not report its pools; "" if it does.
std::string silence_of(const WatchedProcess& process) {
  if (process.answers) return {};
  if (process.debugged) return "debugged";
  if (process.stopped) return "stopped";
  if (process.silent_s > 0) return fmt::format("no answer for {:.0f} s", process.silent_s);
  return "no answer";
}

std::vector<std::string> row_of(const WatchedProcess& process, bool selected, const Style& style) {
  const std::string granted = process.granted    ? std::to_string(*process.granted)
                              : process.governed ? "0"
                                                 : "-";
  const std::string silence = silence_of(process);
  const std::string mark = silence.empty() ? "" : fmt::format("[{}] ", silence);
  return {fmt::format("{} {:>7}", selected ? ">" : " ", process.pid),
          std::to_string(process.threads),
          std::to_string(process.running),
          percent(process.rate.cpu),
          percent(process.rate.delay),
          granted,
          limits_of(process),
          mark + printable(process.name, style.unicode)};
}

}  // namespace

std::vector<std::string> process_table(const std::vector<const WatchedProcess*>& processes,
                                       int selected, const Style& style) {
  const std::vector<RowColumn> columns = {
      {"PID", 9},    {"THREADS", 7, 2}, {"RUN", 3, 4},           {"CPU%", 4, 5},
      {"DELAY%", 6}, {"GRANTED", 7, 1}, {"LIMITS", 6, 3, false}, {"COMMAND", 0}};
  constexpr int kLeastName = 14;
  std::vector<std::vector<std::string>> rows;
  for (const WatchedProcess* process : processes) {
    rows.push_back(row_of(*process, process->pid == selected, style));
  }
  std::vector<std::string> lines = row_table(columns, rows, kLeastName, style);
  lines.front() = painted(lines.front(), Paint::kBold, style);
  for (std::size_t i = 0; i < processes.size(); ++i) {
    if (processes[i]->pid == selected) lines[i + 1] = painted(lines[i + 1], Paint::kBold, style);
  }
  return lines;
}

std::vector<std::string> pool_table_of(const WatchedProcess& process, const Style& style) {
  const auto sentence = [&](const std::string& text) {
    const std::string all = folded(text, 0, 0, style.width);
    std::vector<std::string> lines;
    for (std::string_view rest = all; !rest.empty();) {
      lines.push_back(cut_off(std::string(cut(rest, '\n')), style.width, style.unicode));
    }
    return lines;
  };
  if (process.debugged) return sentence(fmt::format("A debugger holds process {}.", process.pid));
  if (process.stopped) {
    const std::string state = fmt::format("Process {} is stopped.", process.pid);
    const std::string cure = fmt::format("To go on: kill -CONT {}", process.pid);
    std::vector<std::string> lines = sentence(state + " " + cure);
    if (lines.size() > 1) {
      // Not torn in two by the fold.
      lines = sentence(state);
      for (std::string& line : sentence(cure)) lines.push_back(std::move(line));
    }
    return lines;
  }
  if (!process.answers) {
    return sentence(
        fmt::format("Process {} has not answered{}: its pools are unknown.", process.pid,
                    process.silent_s > 0 ? fmt::format(" for {:.0f} s", process.silent_s) : ""));
  }
  if (process.pools.empty() && process.libraries.empty()) {
    return sentence(fmt::format("Process {} has no thread pools.", process.pid));
  }
  const std::vector<RowColumn> columns = {{fmt::format("Pools of {}", process.pid), 17, 0, false},
                                          {"ALLOWED", 7, 4},
                                          {"RUN", 3},
                                          {"IDLE", 4, 3},
                                          {"SPIN", 4, 2},
                                          {"CPU%", 4, 1},
                                          {"DELAY%", 6},
                                          {"LIBRARY", 0}};
  constexpr int kLeastLibrary = 10;
  std::vector<std::vector<std::string>> rows;
  const auto add_row = [&](const WatchedPool& pool, const std::string& allowed) {
    rows.push_back({"  " + printable(pool.name, style.unicode), allowed,
                    std::to_string(pool.running), std::to_string(pool.workers - pool.running),
                    pool.spinning ? std::to_string(*pool.spinning) : "-", percent(pool.rate.cpu),
                    percent(pool.rate.delay), printable(pool.library, style.unicode)});
  };
  for (const WatchedPool& pool : process.pools) {
    add_row(pool, pool.allowed > 0 ? std::to_string(pool.allowed) : "?");
  }
  for (const WatchedPool& library : process.libraries) add_row(library, "-");
  std::vector<std::string> lines = row_table(columns, rows, kLeastLibrary, style);
  lines.front() = painted(lines.front(), Paint::kBold, style);
  return lines;
}

}  // namespace corewise::cli
