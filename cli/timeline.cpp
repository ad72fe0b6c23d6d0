#include "timeline.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "text.h"

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

// Text that may not be UTF-8 ends up in a page that must be.
std::string shown(std::string_view text, std::size_t most) {
  std::string plain;
  for (const char c : text.substr(0, most)) {
    plain += static_cast<unsigned char>(c) < 0x80 ? c : '?';
  }
  return escaped(plain) + (text.size() > most ? "..." : "");
}

constexpr int kLeft = 170;
constexpr int kWidth = 900;
constexpr int kLane = 9;
constexpr std::size_t kMostLanes = 32;
constexpr const char* kStyle =
    ":root{color-scheme:light dark;--ink:#1c1f24;--dim:#5f6772;--paper:#fff;--grid:#d9dde3;"
    "--over:#c62f2f;--c0:#2b6cb0;--c1:#b7791f;--c2:#2f855a;--c3:#805ad5;--c4:#4a5568;--wait:#"
    "e2a0a0}"
    "@media(prefers-color-scheme:dark){:root{--ink:#e6e8eb;--dim:#9aa3ae;--paper:#16181c;"
    "--grid:#343a42;--over:#ff6b6b;--c0:#63b3ed;--c1:#f6ad55;--c2:#68d391;--c3:#b794f4;"
    "--c4:#a0aec0;--wait:#7a3b3b}}"
    "body{font:15px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--paper);"
    "max-width:1120px;margin:2em auto;padding:0 1em}"
    "svg{width:100%;height:auto;font-size:11px}text{fill:var(--ink)}.d{fill:var(--dim)}"
    ".g{stroke:var(--grid)}.b{stroke:var(--ink);stroke-dasharray:5 3}.o{fill:var(--over)}"
    ".a{fill:var(--dim)}.w{fill:var(--wait)}.c0{fill:var(--c0)}.c1{fill:var(--c1)}"
    ".c2{fill:var(--c2)}.c3{fill:var(--c3)}.c4{fill:var(--c4)}"
    "code{overflow-wrap:anywhere}.key span{margin-right:1.2em}.key i{display:inline-block;"
    "width:.9em;height:.9em;margin-right:.4em;vertical-align:-.1em}";

class Svg {
 public:
  Svg(const Recording& recording, std::vector<std::string> pools)
      : recording_(recording),
        pools_(std::move(pools)),
        bin_(static_cast<double>(kWidth) /
             static_cast<double>(std::max<std::size_t>(1, recording.wanted.size()))) {}

  std::string draw() {
    draw_total();
    for (const LaneGroup& group : recording_.groups) draw_group(group);
    draw_seconds();
    return fmt::format(
        "<svg viewBox=\"0 0 {} {}\" role=\"img\" aria-labelledby=\"t d\"><title id=\"t\">Threads "
        "over time</title><desc id=\"d\">{}</desc>{}</svg>",
        kLeft + kWidth + 10, y_ + 20, escaped(verdict_of(recording_)), body_);
  }

 private:
  void text(double x, double y, std::string_view words, const char* more = "") {
    body_ += fmt::format("<text x=\"{:.0f}\" y=\"{:.1f}\"{}>{}</text>", x, y, more, words);
  }
  void rect(double x, double y, double width, double height, const char* kind, double opacity = 1) {
    body_ += fmt::format(
        "<rect class=\"{}\" x=\"{:.2f}\" y=\"{:.1f}\" width=\"{:.2f}\" "
        "height=\"{:.1f}\"",
        kind, x, y, width, height);
    body_ += opacity < 1 ? fmt::format(" opacity=\"{:.2f}\"/>", opacity) : "/>";
  }

  // Threads that ran or wanted to, against the budget; red where there were too many.
  void draw_total() {
    constexpr double kHeight = 110;
    double most = recording_.budget;
    for (const float wanted : recording_.wanted) most = std::max(most, static_cast<double>(wanted));
    most = std::ceil(most * 1.05);
    const auto height = [&](double threads) { return kHeight * threads / most; };
    text(0, 14, "ready to run", " font-weight=\"600\"");
    text(kLeft - 6, 14, fmt::format("{:.0f} threads", most), " text-anchor=\"end\" class=\"d\"");
    for (std::size_t i = 0; i < recording_.wanted.size(); ++i) {
      const double wanted = static_cast<double>(recording_.wanted[i]);
      if (wanted < 0.01) continue;
      const double x = kLeft + static_cast<double>(i) * bin_;
      const double within = std::min(wanted, recording_.budget);
      rect(x, 5 + kHeight - height(within), bin_, height(within), "a");
      if (wanted > recording_.budget + kTolerance) {
        rect(x, 5 + kHeight - height(wanted), bin_, height(wanted - within), "o");
        rect(x, 5 + kHeight + 2, bin_, 4, "o");
      }
    }
    const double line = 5 + kHeight - height(recording_.budget);
    body_ += fmt::format("<path class=\"b\" d=\"M{} {:.1f}H{}\"/>", kLeft, line, kLeft + kWidth);
    text(kLeft - 6, line + 4, fmt::format("budget {}", format_cpus(recording_.budget)),
         " text-anchor=\"end\"");
    y_ = kHeight + 20;
  }

  void draw_group(const LaneGroup& group) {
    std::vector<const Lane*> lanes;
    for (const auto& [tid, lane] : group.lanes) {
      if (lane.busy_s > 0) lanes.push_back(&lane);
    }
    if (lanes.empty()) return;
    std::ranges::sort(lanes, {},
                      [](const Lane* lane) { return std::pair(-lane->busy_s, lane->tid); });
    const std::size_t hidden = lanes.size() > kMostLanes ? lanes.size() - kMostLanes : 0;
    lanes.resize(lanes.size() - hidden);
    std::ranges::sort(lanes, {}, &Lane::tid);
    y_ += 16;
    text(0, y_, fmt::format("{} {}", group.pid, shown(group.command, 120)), " font-weight=\"600\"");
    y_ += 5;
    for (const Lane* lane : lanes) draw_lane(*lane);
    if (hidden == 0) return;
    y_ += 11;
    text(kLeft, y_, fmt::format("and {} more threads that ran less", hidden), " class=\"d\"");
  }

  void draw_lane(const Lane& lane) {
    const auto pool = std::ranges::find(pools_, lane.pool);
    const std::string kind = fmt::format("c{}", std::min<std::ptrdiff_t>(4, pool - pools_.begin()));
    const std::string name = lane.pool.empty() ? "not known" : lane.pool;
    text(kLeft - 6, y_ + kLane - 1, fmt::format("{} {}", escaped(name), lane.tid),
         " text-anchor=\"end\" class=\"d\" font-size=\"9\"");
    draw_row(lane.delay, "w", kLane - 1);
    draw_row(lane.cpu, kind.c_str(), kLane - 1);
    y_ += kLane + 1;
  }

  // Neighbours of about the same share are one rectangle.
  void draw_row(const std::vector<float>& shares, const char* kind, double height) {
    const auto level = [&](std::size_t i) { return std::lround(std::min(1.0F, shares[i]) * 5); };
    for (std::size_t i = 0; i < shares.size();) {
      std::size_t end = i + 1;
      while (end < shares.size() && level(end) == level(i)) ++end;
      if (level(i) > 0) {
        rect(kLeft + static_cast<double>(i) * bin_, y_, static_cast<double>(end - i) * bin_, height,
             kind, static_cast<double>(level(i)) / 5);
      }
      i = end;
    }
  }

  void draw_seconds() {
    y_ += 10;
    constexpr int kMarks = 8;
    for (int i = 0; i <= kMarks; ++i) {
      const double x = kLeft + static_cast<double>(kWidth) * i / kMarks;
      body_ += fmt::format("<path class=\"g\" d=\"M{:.1f} {:.1f}v5\"/>", x, y_ - 5);
      text(x, y_ + 10, fmt::format("{:.3g} s", recording_.seconds * i / kMarks),
           " text-anchor=\"middle\" class=\"d\"");
    }
  }

  const Recording& recording_;
  std::vector<std::string> pools_;
  double bin_;
  double y_ = 0;
  std::string body_;
};

// In order of their names, the program's own threads first; each a colour.
std::vector<std::string> pools_of(const Recording& recording) {
  std::vector<std::string> pools;
  for (const LaneGroup& group : recording.groups) {
    for (const auto& [tid, lane] : group.lanes) {
      if (lane.busy_s > 0 && std::ranges::find(pools, lane.pool) == pools.end()) {
        pools.push_back(lane.pool);
      }
    }
  }
  std::ranges::sort(pools, {}, [](const std::string& name) {
    return std::pair(name.empty() ? 2 : name == "program" ? 0 : 1, name);
  });
  return pools;
}

std::string key_of(const std::vector<std::string>& pools) {
  std::string out;
  for (std::size_t i = 0; i < pools.size(); ++i) {
    const std::string name = pools[i].empty()        ? "not known whose"
                             : pools[i] == "program" ? "the program's own threads"
                                                     : "workers of " + escaped(pools[i]);
    out += fmt::format("<span><i style=\"background:var(--c{})\"></i>{}</span>",
                       std::min<std::size_t>(4, i), name);
  }
  return out +
         "<span><i style=\"background:var(--wait)\"></i>ready to run, but no CPU was free</span>"
         "<span><i style=\"background:var(--over)\"></i>more than the budget</span>";
}

}  // namespace

std::string timeline_html(const Recording& recording) {
  const std::vector<std::string> pools = pools_of(recording);
  return fmt::format(
      "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" "
      "content=\"width=device-width\"><title>corewise record: {0}</title><style>{1}</style>"
      "<h1>What ran when</h1><p><code>{0}</code></p><p><strong>{2}</strong></p><p class=\"d\">{3}, "
      "{4:.1f} s</p><p class=\"key\">{5}</p>{6}</html>\n",
      shown(recording.command, 200), kStyle, verdict_of(recording), shown(recording.time, 40),
      recording.seconds, key_of(pools), Svg(recording, pools).draw());
}

}  // namespace corewise::cli
