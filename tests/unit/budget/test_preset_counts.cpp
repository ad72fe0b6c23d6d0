#include <doctest/doctest.h>

#include <algorithm>
#include <string>

#include "budget/budget.h"
#include "budget/preset_counts.h"
#include "map_machine.h"

using namespace corewise;
namespace preset = preset_counts;

namespace {

test::MapMachine with(std::map<std::string, std::string> variables) {
  test::MapMachine machine = test::eight_cpus();
  for (auto& [name, value] : variables) machine.variables[name] = value;
  return machine;
}

bool sets(const std::vector<const preset::Preset*>& found, std::string_view name) {
  return std::ranges::any_of(found, [&](const auto* one) { return one->name == name; });
}

double cpus_with(std::map<std::string, std::string> variables) {
  return compute_budget(with(std::move(variables)))->cpus;
}

}  // namespace

TEST_CASE("preset counts: where the budget is below what a program would count") {
  const auto found = preset::for_budget(2, 8, with({}));
  for (const char* name : {"LOKY_MAX_CPU_COUNT", "PYTHON_CPU_COUNT", "RAYON_NUM_THREADS",
                           "POLARS_MAX_THREADS", "TF_NUM_INTRAOP_THREADS"}) {
    CHECK(sets(found, name));
  }
  CHECK(preset::for_budget(8, 8, with({})).empty());
  CHECK(preset::for_budget(9, 8, with({})).empty());
}

TEST_CASE("preset counts: what would overrule others is left to the user") {
  const auto found = preset::for_budget(2, 8, with({}));
  for (const char* name : {"NUMEXPR_MAX_THREADS", "NUMEXPR_NUM_THREADS", "BLOSC_NTHREADS"}) {
    CHECK_FALSE(sets(found, name));
  }
}

TEST_CASE("preset counts: the user's value stays, whatever it is") {
  for (const char* value : {"6", "2", "", "default", "many"}) {
    CAPTURE(value);
    const auto found = preset::for_budget(2, 8, with({{"PYTHON_CPU_COUNT", value}}));
    CHECK_FALSE(sets(found, "PYTHON_CPU_COUNT"));
    CHECK(sets(found, "LOKY_MAX_CPU_COUNT"));
  }
  CHECK_FALSE(
      sets(preset::for_budget(2, 8, with({{"RAYON_RS_NUM_CPUS", "4"}})), "RAYON_NUM_THREADS"));
}

TEST_CASE("preset counts: a run inside a run replaces ours") {
  const auto ours = with({{"LOKY_MAX_CPU_COUNT", "4"},
                          {"PYTHON_CPU_COUNT", "3"},
                          {preset::kMarker, "LOKY_MAX_CPU_COUNT=4 PYTHON_CPU_COUNT=4"}});
  CHECK(preset::is_ours("LOKY_MAX_CPU_COUNT", ours));
  CHECK_FALSE(preset::is_ours("PYTHON_CPU_COUNT", ours));  // the program set it since
  CHECK_FALSE(preset::is_ours("RAYON_NUM_THREADS", ours));
  CHECK(sets(preset::for_budget(2, 8, ours), "LOKY_MAX_CPU_COUNT"));
  CHECK_FALSE(sets(preset::for_budget(2, 8, ours), "PYTHON_CPU_COUNT"));
}

TEST_CASE("preset counts: LOKY_MAX_CPU_COUNT is a bound only where it is the user's") {
  CHECK(cpus_with({{"LOKY_MAX_CPU_COUNT", "3"}}) == 3);
  CHECK(cpus_with({{"LOKY_MAX_CPU_COUNT", "3"}, {preset::kMarker, "LOKY_MAX_CPU_COUNT=3"}}) == 8);
  CHECK(cpus_with({{"LOKY_MAX_CPU_COUNT", "3"}, {preset::kMarker, "LOKY_MAX_CPU_COUNT=33"}}) == 3);
  for (const char* junk : {"", " ", "=", "LOKY_MAX_CPU_COUNT", "LOKY_MAX_CPU_COUNT= 3"}) {
    CAPTURE(junk);
    CHECK(cpus_with({{"LOKY_MAX_CPU_COUNT", "3"}, {preset::kMarker, junk}}) == 3);
  }
}
