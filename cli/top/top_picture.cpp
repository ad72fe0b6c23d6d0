#include "top_picture.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "base/text.h"
#include "screen/layout.h"

namespace corewise::cli {
namespace {

// The colours of `corewise record`'s page, as far as a terminal has them.
struct Kind {
  const char* name;
  char letter;  // where there are no colours
  int colour;   // of the foreground; 10 more is the background
  double Load::* value;
};
constexpr std::array<Kind, 5> kKinds = {{{"BLAS", 'B', 33, &Load::blas},
                                         {"OpenMP", 'O', 32, &Load::openmp},
                                         {"other pools", '+', 35, &Load::other_pools},
                                         {"program", 'p', 34, &Load::program},
                                         {"unknown", '?', 90, &Load::unknown}}};

constexpr int kMinute = 60;
// Fewer threads than that are not drawn.
constexpr double kLeast = 0.05;

std::string coloured(std::string_view text, int foreground, int background, const Style& style) {
  if (!style.color || text.empty()) return std::string(text);
  if (background == 0) return fmt::format("\x1b[{}m{}\x1b[0m", foreground, text);
  return fmt::format("\x1b[{};{}m{}\x1b[0m", foreground, background, text);
}

// The kind of the thread at a height of the stack, and where that kind ends.
struct Layer {
  const Kind* kind = nullptr;  // null: above all
  double end = 0;
};
Layer layer_at(const Load& load, double height) {
  double end = 0;
  for (const Kind& kind : kKinds) {
    end += load.*kind.value;
    if (height < end) return {&kind, end};
  }
  return {};
}

// One cell of the chart, from `low` threads to `low + unit`; `line`: the CPUs end in it.
std::string cell(const Load& load, double low, double unit, bool line, const Style& style) {
  constexpr std::array<const char*, 9> kBlocks = {" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
  const double share = std::clamp((load.sum() - low) / unit, 0.0, 1.0);
  const auto eighths = static_cast<std::size_t>(std::lround(8 * share));
  if (eighths == 0) return line ? (style.unicode ? "┄" : "-") : " ";
  const Layer lower = layer_at(load, low);
  if (!style.unicode) return coloured(share < 0.5 ? "." : "#", lower.kind->colour, 0, style);
  const Layer upper = layer_at(load, low + 0.99 * share * unit);
  if (eighths < 8 || upper.kind == lower.kind || upper.kind == nullptr) {
    return coloured(kBlocks[eighths], lower.kind->colour, 0, style);
  }
  const auto part = static_cast<std::size_t>(std::lround(8 * (lower.end - low) / unit));
  return coloured(kBlocks[std::clamp<std::size_t>(part, 0, 8)], lower.kind->colour,
                  upper.kind->colour + 10, style);
}

// The last load taken by then.
const Load* load_at(const std::vector<Load>& history, double time_s) {
  const Load* found = nullptr;
  for (const Load& load : history) {
    if (load.time_s <= time_s) found = &load;
  }
  return found;
}

}  // namespace

Load load_of(const View& view) {
  Load load;
  load.time_s = view.time_s;
  for (const WatchedProcess& process : view.processes) {
    const double all = process.rate.cpu + process.rate.delay;
    if (!process.answers) {
      load.unknown += all;
      continue;
    }
    double workers = 0;
    for (const WatchedPool& pool : process.pools) {
      const double ready = pool.rate.cpu + pool.rate.delay;
      (pool.api == "blas"     ? load.blas
       : pool.api == "openmp" ? load.openmp
                              : load.other_pools) += ready;
      workers += ready;
    }
    load.program += std::max(0.0, all - workers);
  }
  return load;
}

std::string load_bar(const Load& now, double budget, const Style& style) {
  std::string legend;
  int legend_width = 0;
  for (const Kind& kind : kKinds) {
    const double threads = now.*kind.value;
    if (threads < kLeast) continue;
    const std::string text = fmt::format("{} {:.1f}", kind.name, threads);
    const std::string mark =
        style.color ? (style.unicode ? "█" : "#") : std::string(1, kind.letter);
    if (legend_width + 4 + width_of(text) > style.width) break;
    legend += "  " + coloured(mark, kind.colour, 0, style) + " " + text;
    legend_width += 4 + width_of(text);
  }
  const double most = std::max({now.sum(), budget, 1.0});
  const int room = std::clamp(style.width - legend_width - 1, 8, 48);
  const double unit = std::max(1.0, most / room);  // threads per block
  const int blocks = static_cast<int>(std::lround(now.sum() / unit));
  const int line = std::max(1, static_cast<int>(std::lround(budget / unit)));
  std::string bar;
  for (int i = 0; i < std::max(blocks, line); ++i) {
    if (i == line) bar += style.unicode ? "┃" : "|";
    const Layer layer = layer_at(now, (i + 0.5) * unit);
    if (i >= blocks || layer.kind == nullptr) {
      bar += style.unicode ? "·" : ".";
    } else {
      const std::string block = style.unicode ? "█" : "#";
      bar += coloured(style.color ? block : std::string(1, layer.kind->letter), layer.kind->colour,
                      0, style);
    }
  }
  if (blocks <= line) bar += style.unicode ? "┃" : "|";
  return bar + legend;
}

std::vector<std::string> load_chart(const std::vector<Load>& history, double budget, int rows,
                                    const Style& style) {
  const std::string label = cpus_in_words(budget) + " ";
  const int columns = std::min(kMinute, style.width - width_of(label) - 1);
  if (history.empty() || columns < 10) return {};
  double most = budget;
  for (const Load& load : history) most = std::max(most, load.sum());
  const double unit = most / rows;
  // The line of the CPUs is the upper edge of its row.
  const int line_row =
      std::clamp(static_cast<int>(std::ceil(budget / unit - 1e-6)) - 1, 0, rows - 1);
  const double now_s = history.back().time_s;
  std::vector<std::string> lines;
  for (int row = rows - 1; row >= 0; --row) {
    std::string text = row == line_row ? label : std::string(label.size(), ' ');
    for (int i = columns - 1; i >= 0; --i) {
      const Load* load = load_at(history, now_s - i);
      text += load == nullptr ? (row == line_row ? (style.unicode ? "┄" : "-") : " ")
                              : cell(*load, row * unit, unit, row == line_row, style);
    }
    lines.push_back(text);
  }
  const std::string left = columns >= kMinute ? "a minute ago" : fmt::format("{} s ago", columns);
  const int gap = columns - width_of(left) - 3;
  lines.push_back(painted(std::string(label.size(), ' ') + left +
                              std::string(static_cast<std::size_t>(std::max(1, gap)), ' ') + "now",
                          Paint::kDim, style));
  return lines;
}

}  // namespace corewise::cli
