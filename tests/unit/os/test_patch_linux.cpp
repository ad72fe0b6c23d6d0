#include <doctest/doctest.h>
#include <sys/mman.h>

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

TEST_CASE("the kernel tells of one range what its list of all mappings tells") {
  const std::size_t page = os::page_size();
  // Three pages: two readable ones beside each other, and one that may be written.
  void* const three = mmap(nullptr, 3 * page, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  REQUIRE(three != MAP_FAILED);
  const auto at = reinterpret_cast<std::uintptr_t>(three);
  REQUIRE(mprotect(reinterpret_cast<void*>(at + 2 * page), page, PROT_READ | PROT_WRITE) == 0);
  const auto bits = [](const std::optional<os::Rights>& rights) {
    return rights ? rights->bits : -1;
  };
  const auto code = reinterpret_cast<std::uintptr_t>(&os::page_size);
  const std::pair<std::uintptr_t, std::size_t> ranges[] = {
      {at, 2 * page},      // one mapping
      {at + page, page},   // a part of it
      {at, 3 * page},      // the rights differ
      {at + 2 * page, 8},  // writable
      {code, 16},          // executable
      {8, 8},              // nothing
  };
  const auto space = os::AddressSpace::read();
  REQUIRE(space);
  for (const auto& [begin, size] : ranges) {
    CAPTURE(begin - at);
    const auto asked = os::ask_rights(begin, size);
    if (!asked) {
      MESSAGE("this kernel is older than 6.11: ", asked.error().what);
      break;
    }
    CHECK(bits(*asked) == bits(space->rights(begin, size)));
  }
  // Two mappings with the same rights, which the kernel keeps apart, are one range.
  REQUIRE(madvise(three, page, MADV_DONTFORK) == 0);
  if (const auto asked = os::ask_rights(at, 2 * page)) CHECK(bits(*asked) == PROT_READ);
  REQUIRE(munmap(reinterpret_cast<void*>(at + page), page) == 0);
  if (const auto asked = os::ask_rights(at, 2 * page)) CHECK_FALSE(asked->has_value());
  munmap(three, 3 * page);
}
