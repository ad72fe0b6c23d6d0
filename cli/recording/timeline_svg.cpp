#include "timeline_svg.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>
#include <vector>

#include "base/text.h"
#include "shell/output.h"
#include "thread_kind.h"

namespace corewise::cli {
namespace {

std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      default:
        out += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
    }
  }
  return out;
}

constexpr int kLeft = 170;
constexpr int kWidth = 900;
constexpr int kLane = 9;
constexpr int kRight = 24;  // half the width of the last mark's label
constexpr std::size_t kMostLanes = 32;
constexpr std::size_t kKinds = 5;
// In the order of `corewise top`, bottom first.
constexpr std::array<std::pair<ThreadKind, const char*>, kKinds> kStacked = {
    {{ThreadKind::blas, "BLAS"},
     {ThreadKind::openmp, "OpenMP"},
     {ThreadKind::other_pool, "other pools"},
     {ThreadKind::program, "program"},
     {ThreadKind::unknown, "unknown"}}};
// A process that ran less than this share of the total gets no lines.
constexpr double kLeastShare = 0.003;
class Svg {
 public:
  Svg(const Recording& recording, double seconds, int id)
      : recording_(recording),
        seconds_(seconds),
        id_(id),
        bin_(kWidth * (seconds > 0 ? recording.seconds / seconds : 1) /
             static_cast<double>(std::max<std::size_t>(1, recording.wanted.size()))) {}

  std::string draw() {
    draw_total();
    draw_groups();
    draw_seconds();
    return fmt::format(
        "<svg viewBox=\"0 0 {0} {1}\" role=\"img\" aria-labelledby=\"t{2} d{2}\"><title "
        "id=\"t{2}\">Threads over time</title><desc "
        "id=\"d{2}\">{3}</desc><defs>{4}</defs>{5}</svg>",
        kLeft + kWidth + kRight, y_ + 20, id_, escaped(verdict_of(recording_)),
        id_ == 0 ? hatchings() : "", body_);
  }

 private:
  void text(double x, double y, std::string_view words, const char* more = "") {
    body_ += fmt::format("<text x=\"{:.0f}\" y=\"{:.1f}\"{}>{}</text>", x, y, more, words);
  }
  void rect(double x, double y, double width, double height, std::string_view kind,
            const std::string& title = "") {
    body_ += fmt::format(
        "<rect class=\"{}\" x=\"{:.2f}\" y=\"{:.1f}\" width=\"{:.2f}\" height=\"{:.1f}\"", kind, x,
        y, width, height);
    body_ += title.empty() ? "/>" : fmt::format("><title>{}</title></rect>", title);
  }

  // Stripes in the hue of each kind: ready, but no CPU was free.
  static std::string hatchings() {
    std::string all;
    for (std::size_t kind = 0; kind < kKinds; ++kind) {
      all += fmt::format(
          "<pattern id=\"h{0}\" width=\"3\" height=\"3\" patternUnits=\"userSpaceOnUse\" "
          "patternTransform=\"rotate(45)\"><rect class=\"c{0}\" width=\"1.6\" height=\"3\"/>"
          "</pattern>",
          kind);
    }
    return all;
  }

  // By bin, the threads of each kind that ran or were ready to.
  std::vector<std::array<double, kKinds>> loads() const {
    std::vector<std::array<double, kKinds>> loads(recording_.wanted.size());
    for (const LaneGroup& group : recording_.groups) {
      for (const auto& [tid, lane] : group.lanes) {
        const auto kind = static_cast<std::size_t>(kind_of(lane.pool));
        for (std::size_t i = 0; i < lane.cpu.size(); ++i) {
          loads[i][kind] += static_cast<double>(lane.cpu[i]) + static_cast<double>(lane.delay[i]);
        }
      }
    }
    return loads;
  }

  // Threads that ran or were ready to, in their pools' hues, against the line of the CPUs.
  void draw_total() {
    constexpr double kHeight = 110;
    double most = recording_.budget;
    for (const float wanted : recording_.wanted) most = std::max(most, static_cast<double>(wanted));
    most = std::ceil(most * 1.05);
    const auto height = [&](double threads) { return kHeight * threads / most; };
    text(0, 14, "ready to run", " font-weight=\"600\"");
    text(kLeft - 6, 14, fmt::format("{:.0f} threads", most), " text-anchor=\"end\" class=\"d\"");
    const auto all = loads();
    for (std::size_t i = 0; i < all.size(); ++i) {
      const double wanted = static_cast<double>(recording_.wanted[i]);
      if (wanted < 0.01) continue;
      const double x = kLeft + static_cast<double>(i) * bin_;
      std::string title = fmt::format(
          "at {:.1f} s: {:.1f} threads ready to run",
          recording_.seconds * static_cast<double>(i) / static_cast<double>(all.size()), wanted);
      for (const auto& [kind, name] : kStacked) {
        const double threads = all[i][static_cast<std::size_t>(kind)];
        if (threads >= 0.05) title += fmt::format(", {} {:.1f}", name, threads);
      }
      double below = 0;
      for (const auto& [kind, name] : kStacked) {
        const auto at = static_cast<std::size_t>(kind);
        if (all[i][at] <= 0) continue;
        below += all[i][at];
        rect(x, 5 + kHeight - height(below), bin_, height(all[i][at]), fmt::format("c{}", at),
             title);
      }
      if (wanted > recording_.budget + kTolerance) rect(x, 5 + kHeight + 2, bin_, 4, "o");
    }
    const double line = 5 + kHeight - height(recording_.budget);
    body_ += fmt::format("<path class=\"b\" d=\"M{} {:.1f}H{}\"/>", kLeft, line, kLeft + kWidth);
    text(kLeft - 6, line + 4, cpus_in_words(recording_.budget), " text-anchor=\"end\"");
    y_ = kHeight + 20;
  }

  // Processes that ran only for a moment share one line.
  void draw_groups() {
    double all_s = 0;
    for (const LaneGroup& group : recording_.groups) all_s += group.busy_s();
    std::string brief;
    for (const LaneGroup& group : recording_.groups) {
      const double busy_s = group.busy_s();
      if (busy_s <= 0) continue;
      if (busy_s >= kLeastShare * all_s) {
        draw_group(group);
      } else if (brief.size() < 120) {
        brief += (brief.empty() ? "" : ", ") + group.command.substr(0, group.command.find(' '));
      }
    }
    if (brief.empty()) return;
    y_ += 16;
    text(0, y_, "ran for a moment: " + shown_in_html(brief, 160), " class=\"d\"");
  }

  void draw_group(const LaneGroup& group) {
    std::vector<const Lane*> lanes;
    for (const auto& [tid, lane] : group.lanes) {
      if (lane.busy_s > 0) lanes.push_back(&lane);
    }
    std::ranges::sort(lanes, {},
                      [](const Lane* lane) { return std::pair(-lane->busy_s, lane->tid); });
    const std::size_t hidden = lanes.size() > kMostLanes ? lanes.size() - kMostLanes : 0;
    lanes.resize(lanes.size() - hidden);
    std::ranges::sort(lanes, {}, &Lane::tid);
    y_ += 16;
    body_ += fmt::format("<g><title>{}</title>", shown_in_html(group.command, 2000));
    text(0, y_, fmt::format("{} {}", group.pid, shown_in_html(group.command, 120)),
         " font-weight=\"600\"");
    body_ += "</g>";
    y_ += 5;
    for (const Lane* lane : lanes) draw_lane(*lane);
    if (hidden == 0) return;
    y_ += 11;
    text(kLeft, y_, fmt::format("and {} more threads that ran less", hidden), " class=\"d\"");
  }

  void draw_lane(const Lane& lane) {
    const auto kind = static_cast<std::size_t>(kind_of(lane.pool));
    const std::string name = lane.pool.empty() ? "unknown" : escaped(lane.pool);
    body_ += fmt::format(
        "<g><title>{}, thread {}: {:.2f} s on a CPU, {:.2f} s ready without one</title>", name,
        lane.tid, lane.busy_s, lane.delay_s);
    text(kLeft - 6, y_ + kLane - 1, fmt::format("{} {}", name, lane.tid),
         " text-anchor=\"end\" class=\"d\" font-size=\"9\"");
    // Shows the title anywhere on the line.
    rect(kLeft, y_, kWidth, kLane - 1, "n");
    draw_shares(lane, kind);
    body_ += "</g>";
    y_ += kLane + 1;
  }

  // Time on a CPU from the bottom up; above it, in stripes, time ready without one. A full line was
  // always ready. Neighbours with about the same shares become one rectangle.
  void draw_shares(const Lane& lane, std::size_t kind) {
    constexpr int kSteps = 4;
    constexpr double kStep = static_cast<double>(kLane - 1) / kSteps;
    const auto steps = [&](double share) {
      return static_cast<int>(std::lround(std::clamp(share, 0.0, 1.0) * kSteps));
    };
    const auto at = [&](std::size_t i) {
      const double cpu = static_cast<double>(lane.cpu[i]);
      const double ready = cpu + static_cast<double>(lane.delay[i]);
      // Whatever ran at all is visible.
      const int all = std::max(steps(ready), ready > 0.02 ? 1 : 0);
      return std::pair(std::min(all, steps(cpu)), all);
    };
    for (std::size_t i = 0; i < lane.cpu.size();) {
      std::size_t end = i + 1;
      while (end < lane.cpu.size() && at(end) == at(i)) ++end;
      const auto [cpu, all] = at(i);
      const double x = kLeft + static_cast<double>(i) * bin_;
      const double width = static_cast<double>(end - i) * bin_;
      const double bottom = y_ + kLane - 1;
      if (cpu > 0) rect(x, bottom - cpu * kStep, width, cpu * kStep, fmt::format("c{}", kind));
      if (all > cpu) {
        rect(x, bottom - all * kStep, width, (all - cpu) * kStep, fmt::format("h{}", kind));
      }
      i = end;
    }
  }

  // Marks at round numbers of seconds, at most eight.
  void draw_seconds() {
    y_ += 10;
    const double step = round_step(seconds_ / 8);
    for (int i = 0; i * step <= seconds_ * (1 + 1e-9); ++i) {
      const double x = kLeft + kWidth * (seconds_ > 0 ? i * step / seconds_ : 0);
      body_ += fmt::format("<path class=\"g\" d=\"M{:.1f} {:.1f}v5\"/>", x, y_ - 5);
      text(x, y_ + 10, fmt::format("{:g} s", i * step), " text-anchor=\"middle\" class=\"d\"");
    }
  }

  // The next of 1, 2, 5, 10, 20, 50...
  static double round_step(double least) {
    double step = 0.001;
    for (int i = 0; step < least; ++i) step *= i % 3 == 1 ? 2.5 : 2;
    return step;
  }

  const Recording& recording_;
  double seconds_;
  int id_;
  double bin_;
  double y_ = 0;
  std::string body_;
};

}  // namespace

std::string shown_in_html(std::string_view text, std::size_t most) {
  std::string out;
  std::size_t fits = 0;  // bytes of `out` that leave room for the mark
  for (std::size_t taken = 0; !text.empty();) {
    const std::size_t length = utf8_length(text);
    // Of two bytes, those up to U+009F are controls.
    const bool shows = length > 2 || (length == 2 && (text[0] != '\xc2' || text[1] >= '\xa0'));
    const std::string_view bytes = text.substr(0, std::max<std::size_t>(1, length));
    const std::string piece = shows ? std::string(bytes) : printable(bytes, false);
    taken += shows ? 1 : piece.size();
    if (taken > most) return escaped(out.substr(0, fits)) + "…";
    out += piece;
    if (taken < most) fits = out.size();
    text.remove_prefix(bytes.size());
  }
  return escaped(out);
}

std::string timeline_svg(const Recording& recording, double seconds, int id) {
  return Svg(recording, seconds, id).draw();
}

}  // namespace corewise::cli
