#include <doctest/doctest.h>

#include "govern/own_budget.h"
#include "map_machine.h"

using namespace corewise;

namespace {

govern::OwnBudget of(const test::MapMachine& machine) {
  const Result<Budget> budget = compute_budget(machine);
  REQUIRE(budget);
  return govern::own_budget(*budget, machine);
}

}  // namespace

TEST_CASE("own budget: the CPUs, and a name that tells them") {
  test::MapMachine machine = test::eight_cpus();
  CHECK(of(machine).threads == 8);
  const std::string all = of(machine).name;
  machine.files["/proc/self/status"] = "Cpus_allowed_list:\t0-2\n";
  CHECK(of(machine).threads == 3);
  CHECK(of(machine).name != all);
}

TEST_CASE("own budget: a fraction is rounded down, but not below one") {
  test::MapMachine machine = test::eight_cpus();
  machine.variables["COREWISE_BUDGET"] = "2.9";
  CHECK(of(machine).threads == 2);
  machine.variables["COREWISE_BUDGET"] = "0.3";
  CHECK(of(machine).threads == 1);
}

TEST_CASE("own budget: other caps are other budgets") {
  test::MapMachine machine = test::eight_cpus();
  const std::string all = of(machine).name;
  machine.variables["COREWISE_BUDGET"] = "4";
  const std::string capped = of(machine).name;
  CHECK(capped != all);
  machine.variables["COREWISE_BUDGET"] = "5";
  CHECK(of(machine).name != capped);
}

TEST_CASE("own budget: a joblib worker shares with its siblings") {
  test::MapMachine machine = test::eight_cpus();
  const govern::OwnBudget alone = of(machine);
  machine.variables["ENABLE_IPC"] = "1";
  machine.variables["VECLIB_MAXIMUM_THREADS"] = "2";
  CHECK(of(machine).threads == alone.threads);
  CHECK(of(machine).name == alone.name);
}

TEST_CASE("own budget: each rank of a job has its own") {
  test::MapMachine machine = test::eight_cpus();
  machine.variables["OMPI_COMM_WORLD_LOCAL_SIZE"] = "4";
  machine.variables["OMPI_COMM_WORLD_RANK"] = "0";
  const govern::OwnBudget first = of(machine);
  CHECK(first.threads == 2);
  machine.variables["OMPI_COMM_WORLD_RANK"] = "1";
  CHECK(of(machine).name != first.name);
  SUBCASE("but a rank's number alone divides nothing") {
    machine.variables.erase("OMPI_COMM_WORLD_LOCAL_SIZE");
    CHECK(of(machine).threads == 8);
    CHECK(of(machine).name == of(test::eight_cpus()).name);
  }
}
