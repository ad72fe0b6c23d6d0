#include <doctest/doctest.h>

#include "govern/gates/start_bound.h"
#include "map_machine.h"

using namespace corewise;
using namespace std::string_literals;
namespace bound = govern::start_bound;

namespace {

test::MapMachine with(std::map<std::string, std::string> variables) {
  test::MapMachine machine = test::eight_cpus();
  for (auto& [name, value] : variables) machine.variables[name] = value;
  return machine;
}

test::MapMachine bounded(std::map<std::string, std::string> more) {
  more.emplace("GOTO_NUM_THREADS", "2");
  more.emplace("COREWISE_BLAS_STARTED", "2");
  return with(std::move(more));
}

}  // namespace

TEST_CASE("start bound: the budget, where there are more CPUs") {
  CHECK(bound::value_for(2, 64, with({})) == "2");
  CHECK_FALSE(bound::value_for(2, 2, with({})));
  CHECK_FALSE(bound::value_for(4, 2, with({})));
}

TEST_CASE("start bound: a number of the user's stays") {
  for (const char* name : {"OPENBLAS_NUM_THREADS", "OPENBLAS_DEFAULT_NUM_THREADS",
                           "GOTO_NUM_THREADS", "OMP_NUM_THREADS"}) {
    CHECK_FALSE(bound::value_for(2, 64, with({{name, "4"}})));
    CHECK_FALSE(bound::value_for(2, 64, with({{name, "4,2"}})));
    // OpenBLAS takes these for nothing.
    for (const char* none : {"", "0", "-3", "many"}) {
      CHECK(bound::value_for(2, 64, with({{name, none}})) == "2");
    }
  }
}

TEST_CASE("start bound: a run inside a run goes by its own budget") {
  CHECK(bound::value_for(1, 64, bounded({})) == "1");
  CHECK_FALSE(bound::value_for(1, 64, bounded({{"GOTO_NUM_THREADS", "3"}})));
}

TEST_CASE("start bound: OMP_NUM_THREADS, set later, counts as if ours were not there") {
  CHECK(bound::asked_beside(64, 0, bounded({{"OMP_NUM_THREADS", "1"}})) == 1);
  CHECK(bound::asked_beside(64, 0, bounded({{"OMP_NUM_THREADS", "5"}})) == 5);
  CHECK(bound::asked_beside(64, 0, bounded({{"OMP_NUM_THREADS", "500"}})) == 64);
  CHECK_FALSE(bound::asked_beside(64, 0, bounded({})));
  CHECK_FALSE(bound::asked_beside(64, 0, bounded({{"OMP_NUM_THREADS", "2"}})));
  CHECK_FALSE(bound::asked_beside(64, 0, bounded({{"OMP_NUM_THREADS", "0"}})));
  CHECK_FALSE(bound::asked_beside(
      64, false, bounded({{"OMP_NUM_THREADS", "1"}, {"OPENBLAS_NUM_THREADS", "4"}})));
  CHECK_FALSE(
      bound::asked_beside(64, 0, with({{"OMP_NUM_THREADS", "1"}, {"GOTO_NUM_THREADS", "2"}})));
}

TEST_CASE("start bound: a default that Ray sets for its worker is no bound") {
  test::MapMachine machine = with({});
  CHECK_FALSE(bound::awaits_default(machine));
  machine.files["/proc/self/cmdline"] = "python\0/lib/ray/_private/workers/default_worker.py\0"s;
  CHECK(bound::awaits_default(machine));
  machine.variables["OMP_NUM_THREADS"] = "1";  // the user's
  CHECK_FALSE(bound::awaits_default(machine));

  CHECK(bound::asked_beside(64, 64, with({{"OMP_NUM_THREADS", "1"}})) == 64);
  // No more threads than can be granted.
  CHECK(bound::asked_beside(64, 4, with({{"OMP_NUM_THREADS", "1"}})) == 4);
  CHECK_FALSE(bound::asked_beside(64, 64, with({})));
  // As long as Ray has not set it, OpenBLAS has what it would have ungoverned.
  CHECK_FALSE(bound::asked_beside(64, 4, with({})));
  // Ours stands before it: OpenBLAS has that many.
  CHECK_FALSE(bound::asked_beside(64, 64, bounded({{"OMP_NUM_THREADS", "1"}})));
  CHECK_FALSE(bound::asked_beside(64, true,
                                  with({{"OMP_NUM_THREADS", "1"}, {"OPENBLAS_NUM_THREADS", "4"}})));
}
