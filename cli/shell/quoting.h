// Words as a shell reads them back.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace corewise::cli {

// In single quotes, for bash, zsh and fish.
std::string in_quotes(std::string_view text);

// In quotes only where a shell would take something in it for more than a letter.
std::string for_shell(std::string_view word);
std::string for_shell(const std::vector<std::string>& words);

}  // namespace corewise::cli
