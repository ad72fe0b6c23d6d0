#include "choice.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <utility>

#include "output.h"

namespace corewise::cli {

CLI::Validator one_of(std::vector<std::string> words) {
  return CLI::Validator(
      [words = std::move(words)](const std::string& given) -> std::string {
        if (std::ranges::find(words, given) != words.end()) return {};
        return fmt::format("wants {} or {}, not '{}'",
                           fmt::join(words.begin(), words.end() - 1, ", "), words.back(),
                           printable(given, false));
      },
      "");
}

}  // namespace corewise::cli
