#include <doctest/doctest.h>

#include <string>

#include "pools/known_library.h"

using corewise::known_library;

namespace {

std::string library_of(const char* path) {
  const char* found = known_library(path);
  return found == nullptr ? "" : found;
}

}  // namespace

TEST_CASE("a library without a runtime is known by its file") {
  CHECK(library_of("/v/_polars_runtime_32/_polars_runtime.abi3.so") == "polars");
  CHECK(library_of("/v/tokenizers/tokenizers.abi3.so") == "tokenizers");
  CHECK(library_of("/usr/lib/libduckdb.so") == "duckdb");
  CHECK(library_of("/v/numexpr/interpreter.cpython-311-x86_64-linux-gnu.so") == "numexpr");
}

TEST_CASE("other files are nobody's") {
  for (const char* path : {"", "/", "polars", "/v/mine/interpreter.cpython-311-x86_64-linux-gnu.so",
                           "/v/mytokenizers.abi3.so", "/usr/lib/libgomp.so.1", "/proc/self/exe"}) {
    CAPTURE(path);
    CHECK(library_of(path).empty());
  }
}
