// "Did you mean": the known word that a misspelt one is closest to.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace corewise::cli {

// Empty when no word is close enough to be meant.
std::string closest(std::string_view word, const std::vector<std::string>& known);

}  // namespace corewise::cli
