// Where the outputs of two runs of a program differ. Pure text.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace corewise::cli {

// Numbers with a fraction or exponent that differ by no more than this, relative to the larger of
// the two, are equal to rounding: a smaller team adds in another order.
inline constexpr double kRounding = 1e-9;

struct Difference {
  std::size_t line = 0;  // the first that differs, counted from 1; 0: no line differs
  std::string expected;  // that line of each output; empty past an output's end
  std::string found;
  // The largest relative difference of a number. If a line differs, the one in that line, or no
  // value if more than numbers differ there.
  std::optional<double> numbers;
};

Difference compare_outputs(std::string_view expected, std::string_view found);

}  // namespace corewise::cli
