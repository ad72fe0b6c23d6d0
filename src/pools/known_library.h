// Libraries with thread pools that they export no function for, so that they are no runtime
// (runtimes/): we only see their threads. Nothing but the file's name tells them.
#pragma once

#include <string_view>

namespace corewise {

// "polars" for a file in its wheel; null if no such library has this path.
const char* known_library(std::string_view path);

}  // namespace corewise
