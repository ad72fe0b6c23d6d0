// Grants made at will: what bends gets them, everything else gets all.
#include <doctest/doctest.h>

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "govern/grants/try_grants.h"

using namespace corewise;
using namespace corewise::govern;

namespace {

int granted(const Grants* grants, const GrantRequest& request) {
  const Grant grant = grants->acquire(grants->self, request);
  grants->release(grants->self, grant);
  return grant.threads;
}

std::vector<int> eight(const char* asked) {
  const auto grants = try_grants(asked);
  REQUIRE(grants);
  std::vector<int> all;
  for (int i = 0; i < 8; ++i) all.push_back(granted(*grants, {.wanted = 5}));
  return all;
}

}  // namespace

TEST_CASE("a number of threads is granted to what bends, at most what it wants") {
  const auto grants = try_grants("3");
  REQUIRE(grants);
  CHECK(granted(*grants, {.wanted = 8}) == 3);
  CHECK(granted(*grants, {.wanted = 2}) == 2);
  CHECK(granted(*grants, {.wanted = 8, .whole = true}) == 8);
  CHECK(granted(*grants, {.wanted = 8, .kind = gate::VisitKind::kCall}) == 8);
}

TEST_CASE("random grants differ from region to region, and come again from the same seed") {
  const auto first = eight("random:1");
  CHECK(std::set(first.begin(), first.end()).size() > 1);
  CHECK(*std::ranges::min_element(first) >= 1);
  CHECK(*std::ranges::max_element(first) <= 5);
  CHECK(eight("random:1") == first);
  CHECK(eight("random:2") != first);
  CHECK(granted(*try_grants("random:1"), {.wanted = 1}) == 1);
}

TEST_CASE("what makes no sense is refused") {
  for (const char* asked :
       {"", "0", "-1", "x", "3 ", "random", "random:", "random:x", "random:-1", "99999"}) {
    CAPTURE(asked);
    const auto grants = try_grants(asked);
    REQUIRE_FALSE(grants);
    CHECK(grants.error().status == CW_BAD_ARGUMENT);
    CHECK(grants.error().what.find("COREWISE_TRY_GRANTS") != std::string::npos);
  }
}
