#include "recording.h"

#include <fmt/format.h>

#include <algorithm>

#include "json_reader.h"
#include "text.h"

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

void add_sample(Recording& recording, const Bins& bins, const JsonValue& line) {
  const double to = line.number_at("t");
  const double from = to - line.number_at("dt");
  double wanted = 0;
  for (const JsonValue& each : line.items_at("threads")) {
    if (each.items.size() != 4) continue;
    const int pid = each.items[0].whole().value_or(0);
    const int tid = each.items[1].whole().value_or(0);
    const auto cpu = static_cast<float>(each.items[2].number);
    const auto delay = static_cast<float>(each.items[3].number);
    Lane& lane = lane_of(recording, pid, tid, bins.count);
    lane.busy_s += static_cast<double>(cpu) * (to - from);
    wanted += static_cast<double>(cpu) + static_cast<double>(delay);
    bins.spread(from, to, [&](std::size_t i, float share) {
      lane.cpu[i] += cpu * share;
      lane.delay[i] += delay * share;
      recording.wanted[i] += (cpu + delay) * share;
    });
  }
  if (wanted <= recording.budget + kTolerance) return;
  recording.over_s += to - from;
  recording.over_wanted += wanted * (to - from);
}

void add_line(Recording& recording, const Bins& bins, const JsonValue& line) {
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
    lane_of(recording, pid, tid, bins.count).pool = line.text_at("pool");
  } else if (event == "sample") {
    add_sample(recording, bins, line);
  }
}

}  // namespace

Result<Recording> read_recording(std::string_view text, int bins) {
  std::vector<JsonValue> lines;
  Recording recording;
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
    recording.seconds = std::max(recording.seconds, value->number_at("t"));
    lines.push_back(*std::move(value));
  }
  if (lines.empty() || lines.front().text_at("event") != "start") {
    return Error{CW_BAD_ARGUMENT, "line 1: a recording begins with an event \"start\""};
  }
  const Bins parts{std::max(1e-3, recording.seconds / bins), static_cast<std::size_t>(bins)};
  recording.wanted.resize(parts.count);
  for (const JsonValue& line : lines) add_line(recording, parts, line);
  if (recording.over_s > 0) recording.over_wanted /= recording.over_s;
  return recording;
}

std::string verdict_of(const Recording& recording) {
  const double share = recording.seconds > 0 ? recording.over_s / recording.seconds : 0;
  const std::string budget = format_cpus(recording.budget);
  if (share < 0.005) {
    return fmt::format(
        "Not oversubscribed: in {:.1f} s never more threads were ready to run than "
        "the budget of {} CPUs for long.",
        recording.seconds, budget);
  }
  return fmt::format(
      "Oversubscribed for {:.0f} % of the time ({:.1f} of {:.1f} s): then {:.1f} threads were "
      "ready "
      "to run on average, and the budget is {} CPUs.",
      100 * share, recording.over_s, recording.seconds, recording.over_wanted, budget);
}

}  // namespace corewise::cli
