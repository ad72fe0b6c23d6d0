// Completion scripts, from the table of commands.
#pragma once

#include <string>

namespace corewise::cli {

std::string bash_completion();
std::string zsh_completion();
std::string fish_completion();

}  // namespace corewise::cli
