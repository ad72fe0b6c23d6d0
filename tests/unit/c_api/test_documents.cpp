// Budget, plan and doctor through the C ABI and its C++ face.
#include <doctest/doctest.h>

#include <cmath>
#include <corewise.hpp>
#include <cstring>
#include <limits>

#include "read_json.h"

using corewise::test::JsonReader;

TEST_CASE("the documents are JSON with a schema's version") {
  for (const auto& made :
       {corewise::budget_json(), corewise::plan_json(), corewise::doctor_json()}) {
    REQUIRE(made);
    CHECK(JsonReader::read(made.json).at("schema_version").number() == 1);
  }
}

TEST_CASE("the caller's cap binds, or is refused") {
  const auto half = corewise::budget_json(0.5);
  REQUIRE(half);
  CHECK(JsonReader::read(half.json).at("cpus").number() == 0.5);
  for (const double cap : {0.0, -1.0, 1e9, std::nan(""), std::numeric_limits<double>::infinity()}) {
    const auto refused = corewise::budget_json(cap);
    CHECK_FALSE(refused);
    CHECK(refused.error.status() == CW_BAD_ARGUMENT);
    CHECK(refused.json.empty());
  }
}

TEST_CASE("the plan takes wishes, and refuses what is no count") {
  const auto plan = corewise::plan_json({.processes = 1, .openmp = 1, .blas = 1});
  REQUIRE(plan);
  CHECK(JsonReader::read(plan.json).at("threads").number() == 1);
  CHECK(corewise::plan_json({.processes = -1}).error.status() == CW_BAD_COUNT);
  CHECK(corewise::plan_json({.openmp = -2}).error.status() == CW_BAD_COUNT);
  CHECK(corewise::plan_json({.blas = CW_MAX_THREADS + 1}).error.status() == CW_BAD_COUNT);
}

TEST_CASE("options of unknown size or with unknown flags are refused") {
  cw_plan_options options{sizeof options, 0, 0, 0, 0};
  CHECK(cw_plan_json(&options, nullptr, 0, nullptr) == CW_OK);
  CHECK(cw_plan_json(nullptr, nullptr, 0, nullptr) == CW_OK);
  options.flags = 1;
  CHECK(cw_plan_json(&options, nullptr, 0, nullptr) == CW_BAD_ARGUMENT);
  options.flags = 0;
  for (const std::size_t size : {std::size_t{0}, sizeof options - 1, std::size_t{1} << 20}) {
    options.size = size;
    CHECK(cw_plan_json(&options, nullptr, 0, nullptr) == CW_BAD_ARGUMENT);
  }
}

TEST_CASE("a buffer that is too small gets what fits, and the bytes needed are told") {
  std::size_t needed = 0;
  char small[8];
  std::memset(small, 'x', sizeof small);
  REQUIRE(cw_budget_json(nullptr, small, sizeof small, &needed) == CW_OK);
  CHECK(needed > sizeof small);
  CHECK(std::string(small) == "{\"schem");
  REQUIRE(cw_doctor_json(nullptr, 100, &needed) == CW_OK);
  CHECK(needed > 1);
}

TEST_CASE("a failure leaves `needed` alone") {
  std::size_t needed = 7;
  const double cap = 0;
  CHECK(cw_budget_json(&cap, nullptr, 0, &needed) == CW_BAD_ARGUMENT);
  CHECK(needed == 7);
  CHECK(std::string(cw_last_error()).find("above 0") != std::string::npos);
}
