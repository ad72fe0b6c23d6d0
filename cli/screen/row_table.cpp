#include "row_table.h"

#include <algorithm>

#include "layout.h"

namespace corewise::cli {

std::vector<std::string> row_table(const std::vector<RowColumn>& columns,
                                   const std::vector<std::vector<std::string>>& rows, int least,
                                   const Style& style) {
  constexpr int kGap = 2;
  const std::size_t last = columns.size() - 1;
  std::vector<int> widths;
  int taken = 0;
  for (std::size_t i = 0; i < last; ++i) {
    int width = std::max(columns[i].width, width_of(columns[i].head));
    for (const auto& row : rows) width = std::max(width, width_of(row[i]));
    widths.push_back(width);
    taken += width + kGap;
  }
  for (int rank = 1; taken + least > style.width; ++rank) {
    const auto next = std::ranges::find(columns, rank, &RowColumn::leave_at);
    if (next == columns.end()) break;
    int& width = widths[static_cast<std::size_t>(next - columns.begin())];
    taken -= width + kGap;
    width = -1;
  }
  const auto line = [&](const auto& cell) {
    std::string text;
    for (std::size_t i = 0; i < last; ++i) {
      if (widths[i] < 0) continue;
      text += padded(cell(i), widths[i], columns[i].right) + std::string(kGap, ' ');
    }
    text = cut_off(text + cell(last), style.width, style.unicode);
    text.erase(text.find_last_not_of(' ') + 1);
    return text;
  };
  std::vector<std::string> lines;
  lines.push_back(line([&](std::size_t i) { return columns[i].head; }));
  for (const auto& row : rows) lines.push_back(line([&](std::size_t i) { return row[i]; }));
  return lines;
}

}  // namespace corewise::cli
