// Environment variables, where one that is empty is as one that is not set.
#pragma once

#include <cstdlib>
#include <string>

namespace corewise::cli {

inline std::string variable(const char* name) {
  const char* const value = std::getenv(name);  // NOLINT(concurrency-mt-unsafe): one thread
  return value != nullptr ? value : "";
}

}  // namespace corewise::cli
