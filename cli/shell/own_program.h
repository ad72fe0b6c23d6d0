// The command line tool's own file: what it needs lies beside it.
#pragma once

#include <string>

namespace corewise::cli {

// Without /proc: as it was started.
std::string own_program();

}  // namespace corewise::cli
