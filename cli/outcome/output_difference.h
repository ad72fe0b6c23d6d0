// Where the outputs of two runs of a program differ. Pure text.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace corewise::cli {

// Numbers with a fraction or exponent that differ by no more than this, relative to the larger of
// the two, are equal to rounding: a reduction adds in another order where its team is smaller.
inline constexpr double kRounding = 1e-9;

struct Difference {
  std::size_t line = 0;  // the first that differs, from 1; 0: none does
  std::string expected;  // that line of both; empty where there is none any more
  std::string found;
  // The most that a number differs, relatively. Where a line differs: in that one, and no value if
  // more than numbers differ there.
  std::optional<double> numbers;
};

Difference compare_outputs(std::string_view expected, std::string_view found);

}  // namespace corewise::cli
