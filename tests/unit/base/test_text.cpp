// Words and paths in text.
#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "base/text.h"

using namespace corewise;

TEST_CASE("a file's package is the last one around it") {
  std::ifstream list(std::filesystem::path(COREWISE_TESTS) / "recorded" / "packages.txt");
  int known = 0;
  for (std::string line; std::getline(list, line);) {
    std::string_view rest = line;
    if (rest.starts_with('#')) continue;
    const std::string_view package = cut(rest, ' ');
    CAPTURE(line);
    CHECK(package_of(rest) == (package == "-" ? "" : package));
    ++known;
  }
  CHECK(known > 5);
}

TEST_CASE("a number is grouped by thousands") {
  CHECK(grouped(0) == "0");
  CHECK(grouped(999) == "999");
  CHECK(grouped(1000) == "1,000");
  CHECK(grouped(1234567) == "1,234,567");
}
