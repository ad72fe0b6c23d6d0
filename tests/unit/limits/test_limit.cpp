#include <dlfcn.h>
#include <doctest/doctest.h>

#include "limits/limit.h"
#include "pools/discover.h"

using namespace corewise;

namespace {

Rule by_path(const char* path, int threads) { return {CW_MATCH_PATH, path, 0, threads}; }

constexpr const char* kPath = COREWISE_STUBS "/libopenblas64_.so";

int (*count())() {
  void* handle = dlopen(kPath, RTLD_NOW);
  REQUIRE(handle != nullptr);
  return reinterpret_cast<int (*)()>(dlsym(handle, "stub_count"));
}

}  // namespace

TEST_CASE("the tightest open limit is in force, and closing twice is closing once") {
  const auto now = count();
  auto a = open_limits({by_path(kPath, 4)}, 0, 0);
  auto b = open_limits({by_path(kPath, 2)}, 0, 0);
  auto c = open_limits({by_path(kPath, 6)}, 0, 0);
  REQUIRE((a && b && c));
  CHECK(now() == 2);
  CHECK(outcomes(**c)[0].effective == 2);
  CHECK(outcomes(**c)[0].reason == std::string("a tighter limit is open"));
  CHECK(close_limits(**b) == 0);
  CHECK(now() == 4);
  CHECK(close_limits(**b) == 0);
  abandon_limits(**b);
  CHECK(now() == 4);
  close_limits(**a);
  CHECK(now() == 6);
  close_limits(**c);
  CHECK(now() == 8);
}

TEST_CASE("a refused limit changes nothing, also where an earlier rule was right") {
  const auto now = count();
  const auto refused = open_limits({by_path(kPath, 2), {CW_MATCH_API, "nonsense", 0, 1}}, 0, 0);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().status == CW_UNKNOWN_NAME);
  CHECK(now() == 8);
  const auto above = open_limits({by_path(kPath, 65)}, 0, 0);
  REQUIRE_FALSE(above);
  CHECK(above.error().status == CW_ABOVE_CEILING);
  CHECK(above.error().what.find("at most 64 threads, not 65") != std::string::npos);
  CHECK(now() == 8);
}

TEST_CASE("what the open limits make of each pool can be told") {
  const auto now = count();
  static_cast<void>(now());
  auto a = open_limits({by_path(kPath, 4)}, 0, 0);
  auto b = open_limits({by_path(kPath, 6)}, 0, 0);
  REQUIRE((a && b));
  const std::size_t id = outcomes(**a)[0].pool;
  CHECK(limited_counts().at(id) == 4);
  close_limits(**a);
  CHECK(limited_counts().at(id) == 6);
  close_limits(**b);
  CHECK(limited_counts().at(id) == 0);
}

TEST_CASE("a limit over no pool opens and closes") {
  auto none = open_limits({{CW_MATCH_API, "arrow", 0, 2}}, 0, 0);
  REQUIRE(none);
  CHECK(outcomes(**none).empty());
  CHECK(close_limits(**none) == 0);
}
