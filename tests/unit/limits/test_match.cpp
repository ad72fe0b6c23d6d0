#include <doctest/doctest.h>

#include "limits/match.h"
#include "pools/discover.h"
#include "stub_pool.h"

using namespace corewise;

namespace {

const Pool& openblas() {
  static const Pool& pool = test::stub_pool("libopenblas.so");
  return pool;
}

int wanted(std::vector<Rule> rules) {
  REQUIRE_FALSE(resolve_names(rules, discovered_pools()));
  return wanted_by(rules, openblas());
}

}  // namespace

TEST_CASE("the more specific rule speaks, whatever the order") {
  const Pool& pool = openblas();
  const std::vector<Rule> rising = {{CW_MATCH_ALL, "", 0, 1},
                                    {CW_MATCH_API, "blas", 0, 2},
                                    {CW_MATCH_RUNTIME, "openblas", 0, 3},
                                    {CW_MATCH_PREFIX, "libopenblas", 0, 4},
                                    {CW_MATCH_PATH, pool.path, 0, 5},
                                    {CW_MATCH_ID, "", pool.id, 6}};
  for (std::size_t n = 1; n <= rising.size(); ++n) {
    std::vector<Rule> rules(rising.begin(), rising.begin() + static_cast<std::ptrdiff_t>(n));
    CHECK(wanted(rules) == static_cast<int>(n));
    std::vector<Rule> reversed(rules.rbegin(), rules.rend());
    CHECK(wanted(reversed) == static_cast<int>(n));
  }
}

TEST_CASE("of equals the tightest") {
  CHECK(wanted({{CW_MATCH_API, "blas", 0, 7}, {CW_MATCH_API, "blas", 0, 5}}) == 5);
  CHECK(wanted({{CW_MATCH_API, "blas", 0, 5}, {CW_MATCH_API, "blas", 0, 7}}) == 5);
}

TEST_CASE("a name means what fits it best") {
  const Pool& pool = openblas();
  for (const std::string& name :
       {std::string("blas"), std::string("openblas"), std::string("libopenblas"),
        std::string("libopenblas.so"), pool.path}) {
    INFO(name);
    CHECK(wanted({{CW_MATCH_NAME, name, 0, 3}}) == 3);
  }
  CHECK(wanted({{CW_MATCH_NAME, "tbb", 0, 3}}) == 0);
  CHECK(wanted({{CW_MATCH_PATH, COREWISE_STUBS "/../stubs/libopenblas.so", 0, 3}}) == 3);
}

TEST_CASE("counts at and past the ends") {
  for (const int good : {1, CW_MAX_THREADS}) CHECK(wanted({{CW_MATCH_ALL, "", 0, good}}) == good);
  for (const int bad : {0, -1, CW_MAX_THREADS + 1}) {
    std::vector<Rule> rules = {{CW_MATCH_ALL, "", 0, bad}};
    const auto error = resolve_names(rules, discovered_pools());
    REQUIRE(error);
    CHECK(error->status == CW_BAD_COUNT);
  }
}

TEST_CASE("an unknown name is refused with those that are known") {
  openblas();
  std::vector<Rule> rules = {{CW_MATCH_NAME, "opemblas", 0, 1}};
  const auto error = resolve_names(rules, discovered_pools());
  REQUIRE(error);
  CHECK(error->status == CW_UNKNOWN_NAME);
  for (const char* part :
       {"no pool is called 'opemblas'; known here: ", "openmp", "blas", "libopenblas"}) {
    CHECK(error->what.find(part) != std::string::npos);
  }
  CHECK(error->what.find("libiomp") == std::string::npos);  // not loaded
}

TEST_CASE("a package means every file that it brought") {
  Pool one = openblas();
  Pool two = openblas();
  Pool other = openblas();
  one.path = "/venv/lib/python3/site-packages/numpy.libs/liba.so";
  two.path = "/venv/lib/python3/site-packages/numpy.libs/libb.so";
  other.path = "/venv/lib/python3/site-packages/scipy.libs/liba.so";
  const std::vector<const Pool*> pools = {&other, &one, &two};
  std::vector<Rule> rules = {{CW_MATCH_NAME, "numpy", 0, 1}, {CW_MATCH_NAME, "blas", 0, 2}};
  const std::vector<Rule> asked = rules;
  REQUIRE_FALSE(resolve_names(rules, pools));
  CHECK(wanted_by(rules, one) == 1);
  CHECK(wanted_by(rules, two) == 1);
  CHECK(wanted_by(rules, other) == 2);
  CHECK(names_without_pool(asked, rules, pools).empty());
  rules = {{CW_MATCH_NAME, "nump", 0, 1}};
  const auto error = resolve_names(rules, pools);
  REQUIRE(error);
  CHECK(error->what.find("no pool is called 'nump'; known here: ") != std::string::npos);
  CHECK(error->what.find(", numpy") != std::string::npos);
}

TEST_CASE("a file's name that two libraries have is refused with both paths") {
  Pool here = openblas();
  Pool there = openblas();
  there.path = "/elsewhere/libopenblas.so";
  const std::vector<const Pool*> both = {&here, &there};
  std::vector<Rule> rules = {{CW_MATCH_NAME, "libopenblas.so", 0, 1}};
  const auto error = resolve_names(rules, both);
  REQUIRE(error);
  CHECK(error->status == CW_UNKNOWN_NAME);
  CHECK(error->what.find(here.path) != std::string::npos);
  CHECK(error->what.find(there.path) != std::string::npos);
  rules = {{CW_MATCH_NAME, there.path, 0, 1}};
  REQUIRE_FALSE(resolve_names(rules, both));
  CHECK(speaks_for(rules[0], there));
  CHECK_FALSE(speaks_for(rules[0], here));
}
