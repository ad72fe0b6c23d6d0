#include "pool_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>

#include "layout.h"

namespace corewise::cli {
namespace {

// Fewer columns than this show too little of a library's path to recognise it.
constexpr int kLeastPath = 40;
constexpr std::size_t kColumns = 5;
using Line = std::array<std::string, kColumns>;

std::string or_dash(const std::string& text) { return text.empty() ? "-" : text; }

std::string joined(const std::string& a, const std::string& b, const char* between) {
  return a.empty() || b.empty() ? a + b : a + between + b;
}

std::string threads_of(const PoolFacts& row) {
  return row.threads > 0 ? std::to_string(row.threads) : "?";
}

Line cells(const PoolFacts& row) {
  return {api_name(row.api), threads_of(row), scope_name(row.scope),
          or_dash(joined(row.runtime, row.version, " ")),
          or_dash(joined(row.layer, row.architecture, "/"))};
}

// For terminals that have no room for versions and kernels.
Line short_cells(const PoolFacts& row) {
  return {api_name(row.api), threads_of(row), scope_name(row.scope), or_dash(row.runtime), ""};
}

using Widths = std::array<int, kColumns>;
Widths widths_of(const std::vector<Line>& lines) {
  Widths widths{};
  for (const Line& line : lines) {
    for (std::size_t i = 0; i < kColumns; ++i) widths[i] = std::max(widths[i], width_of(line[i]));
  }
  return widths;
}

// Counts the two columns between each column and the next.
int taken_by(const Widths& widths) {
  int taken = 0;
  for (const int width : widths) taken += width + 2;
  return taken;
}

}  // namespace

std::string pool_table(const std::vector<PoolFacts>& rows, const Style& style, bool wide) {
  std::vector<Line> lines = {{"API", "THREADS", "SCOPE", "RUNTIME", "LAYER/KERNELS"}};
  for (const PoolFacts& row : rows) lines.push_back(cells(row));
  Widths widths = widths_of(lines);
  if (!wide && taken_by(widths) - 2 > style.width) {
    lines = {{"API", "THREADS", "SCOPE", "RUNTIME", ""}};
    for (const PoolFacts& row : rows) lines.push_back(short_cells(row));
    widths = widths_of(lines);
  }
  const int taken = taken_by(widths);
  const bool beside = wide || style.width - taken >= kLeastPath;

  std::string out;
  for (std::size_t n = 0; n < lines.size(); ++n) {
    std::string text;
    for (std::size_t i = 0; i < kColumns; ++i) {
      const std::string cell = padded(lines[n][i], widths[i], i == 1);
      text += (n > 0 && i == 1) ? painted(cell, Paint::kBold, style) : cell;
      if (i + 1 < kColumns || beside) text += "  ";
    }
    if (beside) text += n == 0 ? "LIBRARY" : "";
    while (!beside && text.ends_with(' ')) text.pop_back();
    if (n == 0) {
      out += painted(text, Paint::kBold, style) + "\n";
      continue;
    }
    const std::string path = printable(rows[n - 1].path, style.unicode);
    const int room = style.width - (beside ? taken : 2);
    const std::string shown = wide ? path : shortened(path, room, style.unicode);
    out += beside ? text + shown + "\n" : text + "\n  " + painted(shown, Paint::kDim, style) + "\n";
  }
  return out;
}

std::string scope_legend(const std::vector<PoolFacts>& rows, const std::string& whose,
                         const Style& style) {
  const auto has = [&](Scope scope) {
    return std::ranges::find(rows, scope, &PoolFacts::scope) != rows.end();
  };
  std::string out;
  const auto add = [&](Scope scope, const std::string& meaning) {
    if (!has(scope)) return;
    const std::string name = fmt::format("{}:", scope_name(scope));
    const int indent = 9;
    out += painted(padded(name, indent, false) + folded(meaning, indent, indent, style.width),
                   Paint::kDim, style) +
           "\n";
  };
  add(CW_SCOPE_PROCESS, "one count for all threads of the process.");
  add(CW_SCOPE_THREAD, "each thread has a count of its own" + whose + ".");
  add(CW_SCOPE_NONE, "cannot be set from here.");
  return out;
}

std::string remarks(const std::vector<PoolFacts>& rows, const Style& style) {
  std::vector<std::string> order;
  std::map<std::string, std::vector<std::string>> about;
  for (const PoolFacts& row : rows) {
    if (row.detail.empty()) continue;
    auto& names = about[row.detail];
    if (names.empty()) order.push_back(row.detail);
    if (std::find(names.begin(), names.end(), row.runtime) == names.end()) {
      names.push_back(row.runtime);
    }
  }
  std::string out;
  for (const std::string& remark : order) {
    const std::string line =
        fmt::format("{}: {}", fmt::join(about[remark], ", "), printable(remark, style.unicode));
    out += folded(line, 0, 2, style.width) + "\n";
  }
  return out;
}

}  // namespace corewise::cli
