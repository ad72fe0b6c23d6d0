#include "recording.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/json_reader.h"
#include "base/text.h"

namespace corewise::cli {
namespace {

struct Bins {
  double width_s;
  std::size_t count;

  // Calls visit(bin, share of the bin) for each that from..to touches.
  template <class Visit>
  void spread(double from, double to, Visit visit) const {
    for (auto i = static_cast<std::size_t>(std::max(0.0, from / width_s)); i < count; ++i) {
      const double begin = static_cast<double>(i) * width_s;
      if (begin >= to) return;
      const double share = (std::min(to, begin + width_s) - std::max(from, begin)) / width_s;
      if (share > 0) visit(i, static_cast<float>(share));
    }
  }
};

LaneGroup& group_of(Recording& recording, int pid) {
  const auto known = std::ranges::find(recording.groups, pid, &LaneGroup::pid);
  if (known != recording.groups.end()) return *known;
  recording.groups.push_back({pid, "", {}});
  return recording.groups.back();
}

Lane& lane_of(Recording& recording, int pid, int tid, std::size_t bins) {
  Lane& lane = group_of(recording, pid).lanes[tid];
  lane.tid = tid;
  lane.cpu.resize(bins);
  lane.delay.resize(bins);
  return lane;
}

using Threads = std::set<std::pair<int, int>>;

void add_sample(Recording& recording, const Bins& bins, const Threads& own, const JsonValue& line) {
  const double to = line.number_at("t");
  const double from = to - line.number_at("dt");
  double wanted = 0;
  for (const JsonValue& each : line.items_at("threads")) {
    if (each.items.size() != 4) continue;
    const int pid = each.items[0].whole().value_or(0);
    const int tid = each.items[1].whole().value_or(0);
    if (own.contains({pid, tid})) continue;
    const auto cpu = static_cast<float>(each.items[2].number);
    const auto delay = static_cast<float>(each.items[3].number);
    Lane& lane = lane_of(recording, pid, tid, bins.count);
    lane.busy_s += static_cast<double>(cpu) * (to - from);
    lane.delay_s += static_cast<double>(delay) * (to - from);
    recording.busy_s += static_cast<double>(cpu) * (to - from);
    recording.delay_s += static_cast<double>(delay) * (to - from);
    wanted += static_cast<double>(cpu) + static_cast<double>(delay);
    bins.spread(from, to, [&](std::size_t i, float share) {
      lane.cpu[i] += cpu * share;
      lane.delay[i] += delay * share;
      recording.wanted[i] += (cpu + delay) * share;
    });
  }
  recording.others += line.number_at("others") * (to - from);
  if (wanted <= recording.budget + kTolerance) return;
  recording.over_s += to - from;
  recording.over_wanted += wanted * (to - from);
}

void add_line(Recording& recording, const Bins& bins, const Threads& own, const JsonValue& line) {
  const std::string event = line.text_at("event");
  const int pid = static_cast<int>(line.number_at("pid"));
  if (event == "start") {
    recording.command = line.text_at("command");
    recording.time = line.text_at("time");
    recording.budget = std::max(1e-3, line.number_at("budget", 1));
  } else if (event == "process") {
    group_of(recording, pid).command = line.text_at("command");
  } else if (event == "thread") {
    const int tid = static_cast<int>(line.number_at("tid"));
    if (own.contains({pid, tid})) return;
    lane_of(recording, pid, tid, bins.count).pool = line.text_at("pool");
  } else if (event == "sample") {
    add_sample(recording, bins, own, line);
  }
}

}  // namespace

double LaneGroup::busy_s() const {
  double sum = 0;
  for (const auto& [tid, lane] : lanes) sum += lane.busy_s;
  return sum;
}

Result<std::vector<JsonValue>> read_lines(std::string_view text) {
  std::vector<JsonValue> lines;
  int number = 0;
  for (std::string_view rest = text; !rest.empty();) {
    ++number;
    const std::string_view line = cut(rest, '\n');
    if (line.empty()) continue;
    auto value = read_json(line);
    if (!value && rest.empty()) break;
    if (!value) {
      return Error{CW_BAD_ARGUMENT, fmt::format("line {}: {}", number, value.error().what)};
    }
    lines.push_back(*std::move(value));
  }
  if (lines.empty() || lines.front().text_at("event") != "start") {
    return Error{CW_BAD_ARGUMENT, "line 1: a recording begins with an event \"start\""};
  }
  return lines;
}

Threads own_threads(const std::vector<JsonValue>& lines) {
  Threads own;
  for (const JsonValue& line : lines) {
    if (line.text_at("event") != "thread" || line.text_at("pool") != kOwnThreads) continue;
    own.emplace(static_cast<int>(line.number_at("pid")), static_cast<int>(line.number_at("tid")));
  }
  return own;
}

Recording recording_of(const std::vector<JsonValue>& lines, int bins) {
  Recording recording;
  for (const JsonValue& line : lines) {
    recording.seconds = std::max(recording.seconds, line.number_at("t"));
  }
  const Bins parts{std::max(1e-3, recording.seconds / bins), static_cast<std::size_t>(bins)};
  recording.wanted.resize(parts.count);
  const Threads own = own_threads(lines);
  for (const JsonValue& line : lines) add_line(recording, parts, own, line);
  if (recording.over_s > 0) recording.over_wanted /= recording.over_s;
  if (recording.seconds > 0) recording.others /= recording.seconds;
  return recording;
}

bool fits(const Recording& recording) { return recording.over_s <= 0.05 * recording.seconds; }

std::string verdict_of(const Recording& recording) {
  const double share = recording.seconds > 0 ? recording.over_s / recording.seconds : 0;
  const std::string cpus = cpus_in_words(recording.budget);
  std::string text;
  if (fits(recording)) {
    const std::string often =
        share > 0 ? fmt::format("for {:.1f} % of the time only", std::max(0.1, 100 * share))
                  : "at no time";
    text = fmt::format(
        "All fits: in {:.1f} s your program had more threads ready to run than your {} {}.",
        recording.seconds, cpus, often);
  } else {
    text = fmt::format(
        "Too many threads for {:.0f} % of the time ({:.1f} of {:.1f} s): {:.1f} were ready to run "
        "on average, and you have {}.",
        100 * share, recording.over_s, recording.seconds, recording.over_wanted, cpus);
  }
  // With the CPUs to itself it would have waited less, whatever it starts.
  const double ready_s = recording.busy_s + recording.delay_s;
  const double delayed = ready_s > 0 ? recording.delay_s / ready_s : 0;
  if (recording.others < kOthersCount || delayed < 0.1) return text;
  return text +
         fmt::format(
             " Other programs wanted the CPUs too ({:.1f} threads on average): when ready to run, "
             "your threads waited for a CPU {:.0f} % of the time.",
             recording.others, 100 * delayed);
}

}  // namespace corewise::cli
