#include <doctest/doctest.h>

#include <cstdint>

#include "govern/spinning/idle_pools.h"

using namespace corewise;
namespace idle_pools = corewise::govern::idle_pools;

namespace {

int searches = 0;
std::uint32_t spin_count = 0;

Result<SpinWord> search(const Pool&) {
  ++searches;
  return SpinWord{.at = reinterpret_cast<std::uintptr_t>(&spin_count)};
}

}  // namespace

TEST_CASE("idle pools: a fuller pool in the place of another is the same one") {
  constexpr std::uint32_t kNoOther = 1'000'000;
  Runtime runtime{};
  runtime.spin_word = search;
  Pool pool;
  pool.id = kNoOther;
  pool.runtime = &runtime;
  const Pool fuller = pool;
  CHECK(idle_pools::word_of(pool)->at == reinterpret_cast<std::uintptr_t>(&spin_count));
  CHECK(idle_pools::word_of(fuller)->at == reinterpret_cast<std::uintptr_t>(&spin_count));
  CHECK(searches == 1);
}
