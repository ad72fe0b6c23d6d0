#include "top_screen.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/text.h"
#include "screen/layout.h"
#include "top_advice.h"
#include "top_tables.h"
#include "top_verdict.h"

namespace corewise::cli {
namespace {

// A screen with fewer rows has no room for facts, or for a chart.
constexpr int kFewRows = 10;
constexpr int kChartFrom = 22;
constexpr std::size_t kFoot = 2;  // lines: the message, and the keys

// The first one that fits is shown.
constexpr std::array<const char*, 3> kKeys = {
    "up/down select  / filter  s sort  l limit  u undo  g govern  ? help  q quit",
    "s sort  l limit  g govern  ?help  q quit", "? help  q quit"};

constexpr std::array<const char*, 20> kHelp = {
    "up down, k j    select a process            PgUp PgDn, Home End  pages, ends",
    "/               show only some processes: type a part of the name or the number",
    "s               sort by threads ready, CPU time, threads, name, pid",
    "l               limit the selected process: blas=2 openmp=4",
    "u               undo such limits",
    "g               govern it, or end that (u and g: twice if you selected none)",
    "q               quit",
    "",
    "RUN      threads that run now, or would if there were a free CPU",
    "CPU%     CPUs used; 100 is one",
    "DELAY%   threads that were ready to run and had no CPU; 100 is one",
    "GRANTED  threads that a governed process may use now. They may be above the budget: "
    "each call gets at least one thread",
    "LIMITS   set from outside, here or by `corewise limit`",
    "ALLOWED  threads that the next region or call of the pool gets at most",
    "IDLE     workers of the pool that sleep",
    "SPIN     workers that run though the pool has nothing to do; -: cannot be told",
    "",
    "Others: programs that are not in this list.",
    "",
    "Any key goes back."};

std::string dim(const std::string& text, const Style& style) {
  return painted(cut_off(text, style.width, style.unicode), Paint::kDim, style);
}

void add_folded(std::vector<std::string>& lines, const std::string& text, Paint paint,
                const Style& style) {
  const std::string all = folded(text, 0, 0, style.width);
  for (std::string_view rest = all; !rest.empty();) {
    const std::string line = cut_off(std::string(cut(rest, '\n')), style.width, style.unicode);
    lines.push_back(painted(line, paint, style));
  }
}

std::string facts_of(const View& view, const TopState& state, const Style& style,
                     std::size_t shown) {
  std::string text = "corewise top";
  const std::string grants = grants_in_words(view);
  if (!grants.empty()) text += "   " + grants;
  if (view.throttled_s() > 0) {
    text += fmt::format("   paused by the quota: {:.1f} s", view.throttled_s());
  }
  if (!state.filter.empty()) {
    text += fmt::format("   '{}': {} of {}", printable(state.filter, style.unicode), shown,
                        view.processes.size());
  }
  if (state.order != Order::ready) text += fmt::format("   by {}", words_for(state.order));
  return text;
}

// The verdict, the cause and the cure, the picture, and facts: as much as the rows allow.
std::vector<std::string> head(const View& view, const TopState& state, const Style& style,
                              std::size_t shown, int rows) {
  const Verdict verdict = verdict_of(view);
  const bool good = verdict.situation == Situation::fits || verdict.situation == Situation::idle;
  const Paint paint = verdict.situation == Situation::too_many ? Paint::kRed
                      : good                                   ? Paint::kGreen
                                                               : Paint::kYellow;
  std::vector<std::string> lines;
  add_folded(lines, verdict.text, paint, style);
  if (rows > 0 && rows < kFewRows) {
    lines.resize(1);
    return lines;
  }
  const Advice advice = advice_for(view, style.unicode);
  if (!advice.cause.empty()) {
    const std::string key = rows > 0 ? fmt::format(" (key {})", advice.key) : "";
    const std::string cure =
        advice.cure.empty() ? "" : fmt::format(" What to do: {}{}", advice.cure, key);
    add_folded(lines, advice.cause + cure, Paint::kBold, style);
  }
  if (!view.processes.empty()) lines.push_back(load_bar(load_of(view), view.budget, style));
  if (rows >= kChartFrom) {
    const auto chart = load_chart(state.history, view.budget, rows < 36 ? 3 : 6, style);
    lines.insert(lines.end(), chart.begin(), chart.end());
  }
  lines.push_back(dim(facts_of(view, state, style, shown), style));
  lines.emplace_back();
  return lines;
}

// The rows around the selected one, and how many are above and below.
std::vector<std::string> list(const std::vector<const WatchedProcess*>& all, const TopState& state,
                              const Style& style, std::size_t room) {
  std::vector<std::string> lines = process_table(all, state.selected, style);
  if (all.size() <= room) return lines;
  const std::size_t visible = std::max<std::size_t>(room, 2) - 1;
  const auto at = std::ranges::find(all, state.selected, &WatchedProcess::pid) - all.begin();
  const std::size_t chosen = std::min(static_cast<std::size_t>(at), all.size() - 1);
  const std::size_t first = chosen >= visible ? chosen - visible + 1 : 0;
  const std::size_t below = all.size() - first - std::min(visible, all.size() - first);
  std::vector<std::string> some = {lines.front()};
  const auto begin = lines.begin() + static_cast<std::ptrdiff_t>(first) + 1;
  some.insert(some.end(), begin, begin + static_cast<std::ptrdiff_t>(all.size() - first - below));
  std::string more = first > 0 ? fmt::format("{} more above", first) : "";
  if (below > 0) more += fmt::format("{}{} more below", more.empty() ? "" : ", ", below);
  some.push_back(dim("  " + more, style));
  return some;
}

std::string prompt_of(const TopState& state) {
  if (state.typing == TopState::Typing::filter) return "show only: " + state.typed + "_";
  if (state.typing == TopState::Typing::limit) {
    return fmt::format("limit {} (blas=N openmp=N): {}_", state.selected, state.typed);
  }
  return state.message;
}

void add_foot(std::vector<std::string>& lines, const TopState& state, const Style& style,
              int rows) {
  const auto all = static_cast<std::size_t>(rows);
  lines.resize(all > kFoot ? all - kFoot : 0);
  lines.push_back(cut_off(printable(prompt_of(state), style.unicode), style.width, style.unicode));
  const auto keys =
      std::ranges::find_if(kKeys, [&](const char* text) { return width_of(text) <= style.width; });
  lines.push_back(dim(keys != kKeys.end() ? *keys : kKeys.back(), style));
  lines.resize(all);
}

std::vector<std::string> help_lines(const Style& style) {
  std::vector<std::string> folds;
  for (const std::string_view line : kHelp) {
    // What is folded stands below what the line says, not below its key.
    const std::size_t gap = line.find("  ");
    const int under = gap == line.npos ? 0 : static_cast<int>(line.find_first_not_of(' ', gap));
    const std::string all = folded(line, 0, std::min(under, style.width / 3), style.width);
    std::string_view rest = all;
    do folds.emplace_back(cut(rest, '\n'));
    while (!rest.empty());
  }
  return folds;
}

// The last of `count` lines that a screen can begin with.
std::size_t last_first(std::size_t count, int rows) {
  const std::size_t room = std::max<std::size_t>(static_cast<std::size_t>(rows), kFoot + 2) - kFoot;
  return count > room ? count - room : 0;
}

// The lines from `first` on, and how to see the others.
std::vector<std::string> help_screen(const Style& style, std::size_t first, int rows) {
  std::vector<std::string> lines = help_lines(style);
  const std::size_t last = last_first(lines.size(), rows);
  if (last == 0) return lines;
  first = std::min(first, last);
  const std::size_t room = lines.size() - last;
  lines.erase(lines.begin(), lines.begin() + static_cast<std::ptrdiff_t>(first));
  lines.resize(room);
  if (first < last) lines.back() = dim("More of this: down, up", style);
  return lines;
}

}  // namespace

std::vector<std::string> top_screen(const View& view, const TopState& state, const Style& style,
                                    int rows) {
  std::vector<std::string> lines;
  if (state.help) {
    lines = help_screen(style, *state.help, rows);
    add_foot(lines, state, style, rows);
    return lines;
  }
  const auto all = listed(view, state.order, state.filter);
  lines = head(view, state, style, all.size(), rows);
  const auto chosen = std::ranges::find(all, state.selected, &WatchedProcess::pid);
  std::vector<std::string> below;
  if (chosen != all.end()) {
    below = pool_table_of(**chosen, style);
    below.insert(below.begin(), "");
  }
  // The list gets the rows that the head, the pools, a message and the keys leave.
  std::size_t room = all.size();
  if (rows > 0) {
    const auto height = static_cast<std::size_t>(rows);
    if (below.size() > height / 2) below.resize(height / 2);
    const std::size_t taken = lines.size() + 1 + below.size() + kFoot;
    room = height > taken + 1 ? height - taken : 1;
  }
  if (!all.empty()) {
    const std::vector<std::string> processes = list(all, state, style, room);
    lines.insert(lines.end(), processes.begin(), processes.end());
  } else if (!state.filter.empty()) {
    lines.push_back("No process matches.");
  }
  lines.insert(lines.end(), below.begin(), below.end());
  if (rows > 0) add_foot(lines, state, style, rows);
  return lines;
}

std::size_t last_help_line(const Style& style, int rows) {
  return last_first(help_lines(style).size(), rows);
}

int page_of(int rows) { return std::max(1, rows / 2 - 2); }

}  // namespace corewise::cli
