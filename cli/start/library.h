// Where the libcorewise.so is that goes into other programs.
#pragma once

#include <string>

#include "base/error.h"

namespace corewise::cli {

// COREWISE_LIBRARY, else beside this program: where it is installed, and where it is built. An
// absolute path.
Result<std::string> find_library();

// LD_PRELOAD for a program that it goes into: the library ahead of whatever the user preloads.
Result<std::string> preload_list();

}  // namespace corewise::cli
