// What bounds a region's team, with a runtime made here.
#include <doctest/doctest.h>

#include <string_view>

#include "govern/teams/team_bounds.h"

using corewise::govern::TeamBounds;

namespace {

int level = 0;
int most_levels = 1;
int limit = 8;

void* symbol(std::string_view name) {
  if (name == "omp_get_active_level") return reinterpret_cast<void*>(+[] { return level; });
  if (name == "omp_get_max_active_levels") {
    return reinterpret_cast<void*>(+[] { return most_levels; });
  }
  return reinterpret_cast<void*>(+[] { return limit; });
}

}  // namespace

TEST_CASE("a region below the last active level is serial, and so is every one without levels") {
  const TeamBounds bounds(symbol);
  CHECK_FALSE(bounds.is_serial());
  level = 1;
  CHECK(bounds.is_serial());
  most_levels = 2;
  CHECK_FALSE(bounds.is_serial());
  level = 0;
  most_levels = 0;
  CHECK(bounds.is_serial());
}

TEST_CASE("a team stays within the runtime's limit of threads") {
  const TeamBounds bounds(symbol);
  CHECK(bounds.within_limit(9) == 8);
  CHECK(bounds.within_limit(3) == 3);
  limit = 0;
  CHECK(bounds.within_limit(3) == 1);
}

TEST_CASE("a runtime that does not say bounds nothing") {
  const TeamBounds bounds([](std::string_view) -> void* { return nullptr; });
  CHECK_FALSE(bounds.is_serial());
  CHECK(bounds.within_limit(3) == 3);
}
