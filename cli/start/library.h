// Finds the libcorewise.so that goes into other programs.
#pragma once

#include <string>

#include "base/error.h"

namespace corewise::cli {

// The absolute path: COREWISE_LIBRARY, else the library beside this program, installed or built.
Result<std::string> find_library();

// LD_PRELOAD for such a program: our library ahead of what the user preloads.
Result<std::string> preload_list();

}  // namespace corewise::cli
