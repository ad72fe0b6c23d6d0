#include "choice.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <system_error>
#include <utility>

#include "output.h"

namespace corewise::cli {

CLI::Validator one_of(std::vector<std::string> words) {
  return CLI::Validator(
      [words = std::move(words)](const std::string& given) -> std::string {
        if (std::ranges::find(words, given) != words.end()) return {};
        return fmt::format("takes {} or {}, not '{}'",
                           fmt::join(words.begin(), words.end() - 1, ", "), words.back(),
                           printable(given, false));
      },
      "");
}

CLI::Validator whole_number(std::uint64_t least, std::uint64_t most) {
  return CLI::Validator(
      [least, most](const std::string& given) -> std::string {
        std::uint64_t value = 0;
        const char* end = given.data() + given.size();
        const auto [stop, error] = std::from_chars(given.data(), end, value);
        if (error == std::errc{} && stop == end && value >= least && value <= most) return {};
        return fmt::format("takes a whole number from {} to {}, not '{}'", least, most,
                           printable(given, false));
      },
      "");
}

}  // namespace corewise::cli
