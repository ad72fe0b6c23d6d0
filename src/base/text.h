// Small, bounded parsers for text that others wrote (numbers, lines), and a safe way to quote it.
#pragma once

#include <concepts>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace corewise {

// Strips blanks (space, tab, line ends) from both ends.
std::string_view trim(std::string_view text);

// Cuts the part before `separator` (all, if there is none) off the front of `rest`.
std::string_view cut(std::string_view& rest, char separator);

// The path without its folders: "libgomp.so.1" of "/usr/lib/libgomp.so.1". A view into `path`.
std::string_view file_name(std::string_view path);

// The folder below site-packages that a file lies in: "numpy.libs". Empty if it lies in none. A
// view into `path`.
std::string_view package_folder(std::string_view path);

// The Python package that a library came with: "numpy" of ".../site-packages/numpy.libs/libx.so".
// Empty if it came with none. A view into `path`.
std::string_view package_of(std::string_view path);

// "openblas (numpy)", which tells two copies of a runtime apart; "openblas" if it came with none.
std::string name_with_package(std::string_view runtime, std::string_view path);

// Whether both are the same but for the case of ASCII letters.
bool same_word(std::string_view a, std::string_view b);

// The line of `text` that starts with `start`; empty if there is none.
std::string_view line_starting(std::string_view text, std::string_view start);

// The decimal number at the start of text; 0 if there is none.
std::uint64_t leading_number(std::string_view text) noexcept;

// All of text as a decimal integer.
std::optional<std::int64_t> parse_integer(std::string_view text);

// The first of a list of counts: OMP_NUM_THREADS may hold one for each nesting level, "8,2".
std::optional<int> first_count(std::string_view list);

// All of text as a finite decimal number above 0.
std::optional<double> parse_positive(std::string_view text);

// All of text as a number of CPUs above 0: "8", "1.5", or Kubernetes' thousandths, "500m".
std::optional<double> parse_cpus(std::string_view text);

// Length of the well-formed UTF-8 character at the start of text; 0 if there is none.
std::size_t utf8_length(std::string_view text);

// "1.5", "8": at most three decimals, no trailing zeros.
std::string format_cpus(double cpus);

// "1,015": with a comma between thousands.
std::string grouped(std::int64_t number);

// "a, b and c"
std::string listed(const std::vector<std::string>& words);

// "1 thread", "4 processes"
template <std::integral Count>
std::string counted(Count count, std::string_view noun) {
  const char* const ending = count == 1 ? "" : noun.ends_with('s') ? "es" : "s";
  return std::to_string(count) + " " + std::string(noun) + ending;
}

// "1.5 CPUs", "1 CPU".
std::string cpus_in_words(double cpus);

// In quotes, at most 40 bytes, with everything that is not printable ASCII as \xNN.
std::string quote(std::string_view text);

}  // namespace corewise
