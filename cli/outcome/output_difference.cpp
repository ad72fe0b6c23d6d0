#include "output_difference.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "base/text.h"

namespace corewise::cli {
namespace {

struct Piece {
  std::string_view text;
  std::optional<double> number;  // only if it has a fraction or an exponent
};

bool is_digit(char c) { return c >= '0' && c <= '9'; }

// The number at the front, or the text up to where a number may begin.
Piece cut_piece(std::string_view& rest) {
  double number = 0;
  const bool starts = is_digit(rest.front()) || (rest.front() == '.' && rest.size() > 1);
  if (starts) {
    const auto end = std::from_chars(rest.data(), rest.data() + rest.size(), number);
    const auto size = static_cast<std::size_t>(end.ptr - rest.data());
    if (end.ec == std::errc() && size > 0) {
      Piece piece{rest.substr(0, size), std::nullopt};
      if (piece.text.find_first_of(".eE") != piece.text.npos) piece.number = number;
      rest.remove_prefix(size);
      return piece;
    }
  }
  std::size_t size = 1;
  while (size < rest.size() && !is_digit(rest[size]) && rest[size] != '.') ++size;
  const Piece piece{rest.substr(0, size), std::nullopt};
  rest.remove_prefix(size);
  return piece;
}

// How much the numbers of the lines differ; no value if anything else differs.
std::optional<double> numbers_apart(std::string_view expected, std::string_view found) {
  double most = 0;
  while (!expected.empty() && !found.empty()) {
    const Piece one = cut_piece(expected);
    const Piece other = cut_piece(found);
    if (one.text == other.text) continue;
    if (!one.number || !other.number) return std::nullopt;
    const double larger = std::max(std::abs(*one.number), std::abs(*other.number));
    most = std::max(most, larger > 0 ? std::abs(*one.number - *other.number) / larger : 0);
  }
  return expected.empty() && found.empty() ? std::optional(most) : std::nullopt;
}

}  // namespace

Difference compare_outputs(std::string_view expected, std::string_view found) {
  if (expected == found) return {};
  Difference difference;
  double most = 0;
  for (std::size_t line = 1; !expected.empty() || !found.empty(); ++line) {
    const std::string_view one = cut(expected, '\n');
    const std::string_view other = cut(found, '\n');
    if (one == other) continue;
    const auto numbers = numbers_apart(one, other);
    if (!numbers || *numbers > kRounding) {
      return {line, std::string(one), std::string(other), numbers};
    }
    most = std::max(most, *numbers);
  }
  difference.numbers = most;
  return difference;
}

}  // namespace corewise::cli
