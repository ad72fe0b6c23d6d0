#include <doctest/doctest.h>

#include <algorithm>
#include <vector>

#include "os/os.h"
#include "os/patch.h"

using namespace corewise;

TEST_CASE("no page for code is mapped where the main stack grows") {
  const auto text = os::read_file("/proc/self/maps");
  REQUIRE(text);
  const std::vector<os::Mapping> mappings = os::parse_maps(*text);
  const auto stack = std::ranges::find(mappings, "[stack]", &os::Mapping::path);
  REQUIRE(stack != mappings.end());
  const auto space = os::AddressSpace::read();
  REQUIRE(space);
  const auto gaps = space->gaps(stack->begin, std::uintptr_t{1} << 46U, os::page_size());
  CHECK_FALSE(gaps.empty());
  CHECK(std::ranges::none_of(
      gaps, [&](std::uintptr_t at) { return at + os::page_size() == stack->begin; }));
}
