// The help screens, from the table of commands.
#pragma once

#include <string>

#include "commands.h"

namespace corewise::cli {

std::string help_for_all();
std::string help_for(const Command& command);

// "corewise run [options] [--] COMMAND [ARGUMENT...]"
std::string synopsis(const Command& command);

}  // namespace corewise::cli
