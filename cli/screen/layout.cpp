#include "layout.h"

#include <algorithm>
#include <string_view>

#include "base/text.h"

namespace corewise::cli {
namespace {

// Fewer columns than this turn a sentence into a ribbon.
constexpr int kLeastText = 28;
// Where a row's text begins that has lines of its own.
constexpr int kIndent = 4;

std::vector<int> widths_of(const std::vector<Column>& columns,
                           const std::vector<std::vector<std::string>>& rows) {
  std::vector<int> widths;
  for (std::size_t i = 0; i < columns.size(); ++i) {
    int width = width_of(columns[i].head);
    for (const auto& row : rows) width = std::max(width, width_of(row[i]));
    widths.push_back(width);
  }
  return widths;
}

int longest_word(const std::vector<std::vector<std::string>>& rows, std::size_t column) {
  int longest = 0;
  for (const auto& row : rows) {
    std::string_view words = row[column];
    while (!words.empty()) longest = std::max(longest, width_of(cut(words, ' ')));
  }
  return longest;
}

std::string without_trailing_spaces(std::string text) {
  text.erase(text.find_last_not_of(' ') + 1);
  return text;
}

}  // namespace

std::string padded(const std::string& text, int width, bool right) {
  const std::string space(static_cast<std::size_t>(std::max(0, width - width_of(text))), ' ');
  return right ? space + text : text + space;
}

std::string shortened(const std::string& text, int width, bool unicode) {
  if (width_of(text) <= width) return text;
  const std::string dots = unicode ? "…" : "...";
  const int room = std::max(2, width - width_of(dots));
  // The end says most: the file's name.
  const int head_room = room / 3;
  const auto is_inside = [&](std::size_t at) {
    return at < text.size() && (static_cast<unsigned char>(text[at]) & 0xc0u) == 0x80u;
  };
  std::size_t head = 0;
  while (head < text.size() && width_of(text.substr(0, head)) < head_room) ++head;
  while (is_inside(head)) ++head;
  std::size_t tail = text.size();
  while (tail > head && width_of(text.substr(tail)) < room - head_room) --tail;
  while (is_inside(tail)) ++tail;
  return text.substr(0, head) + dots + text.substr(tail);
}

std::string cut_off(const std::string& text, int width, bool unicode) {
  if (beginning_of(text, width).size() == text.size()) return text;
  return std::string(beginning_of(text, width - 1)) + (unicode ? "…" : ">");
}

std::string table(const std::vector<Column>& columns,
                  const std::vector<std::vector<std::string>>& rows, const Style& style) {
  const std::vector<int> widths = widths_of(columns, rows);
  const std::size_t last = columns.size() - 1;
  int taken = 0;
  for (std::size_t i = 0; i < last; ++i) taken += widths[i] + 2;
  const int room = style.width - taken;
  const int word = longest_word(rows, last);
  const bool word_fits = room >= word || style.width - kIndent < word;
  const bool beside = room >= std::min(kLeastText, widths[last]) && word_fits;

  const auto fixed = [&](const auto& cell) {
    std::string line;
    for (std::size_t i = 0; i < last; ++i)
      line += padded(cell(i), widths[i], columns[i].right) + "  ";
    return line;
  };
  const std::string heads =
      fixed([&](std::size_t i) { return columns[i].head; }) + (beside ? columns[last].head : "");
  std::string out = painted(without_trailing_spaces(heads), Paint::kBold, style) + "\n";
  for (const auto& row : rows) {
    const std::string line = fixed([&](std::size_t i) { return row[i]; });
    const int indent = beside ? taken : kIndent;
    out += beside ? line : without_trailing_spaces(line) + "\n" + std::string(kIndent, ' ');
    out += folded(row[last], indent, indent, style.width);
    out = without_trailing_spaces(std::move(out)) + "\n";
  }
  return out;
}

}  // namespace corewise::cli
