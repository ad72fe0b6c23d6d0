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

void check_counts(const govern::OwnBudget& own, int threads, int most, int together) {
  CHECK(own.threads == threads);
  CHECK(own.most == most);
  CHECK(own.together == together);
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

TEST_CASE("own budget: each rank of a job has its part of what all lend each other") {
  test::MapMachine machine = test::eight_cpus();
  machine.variables["OMPI_COMM_WORLD_LOCAL_SIZE"] = "4";
  machine.variables["OMPI_COMM_WORLD_RANK"] = "0";
  machine.variables["PMIX_NAMESPACE"] = "one";
  const govern::OwnBudget first = of(machine);
  check_counts(first, 2, 8, 8);
  CHECK(first.lends());
  machine.variables["OMPI_COMM_WORLD_RANK"] = "1";
  CHECK(of(machine).name == first.name);
  SUBCASE("of one job") {
    machine.variables["PMIX_NAMESPACE"] = "another";
    CHECK(of(machine).name != first.name);
  }
  SUBCASE("on the same CPUs") {
    machine.files["/proc/self/status"] = "Cpus_allowed_list:\t0-3\n";
    check_counts(of(machine), 2, 4, 4);
    CHECK(of(machine).name != first.name);
  }
  SUBCASE("and nothing where the launcher gave it CPUs of its own") {
    machine.files["/proc/self/status"] = "Cpus_allowed_list:\t0-1\n";
    CHECK_FALSE(of(machine).lends());
    check_counts(of(machine), 2, 2, 2);
  }
  SUBCASE("and nothing where the user gave each a budget that is no larger") {
    machine.variables["COREWISE_BUDGET"] = "2";
    const govern::OwnBudget capped = of(machine);
    CHECK_FALSE(capped.lends());
    machine.variables["OMPI_COMM_WORLD_RANK"] = "2";
    CHECK(of(machine).name != capped.name);
  }
  SUBCASE("up to the budget that the user gave each") {
    machine.variables["COREWISE_BUDGET"] = "5";
    check_counts(of(machine), 2, 5, 8);
    CHECK(of(machine).name == first.name);
  }
  SUBCASE("but a rank's number alone divides nothing") {
    machine.variables.erase("OMPI_COMM_WORLD_LOCAL_SIZE");
    machine.variables.erase("PMIX_NAMESPACE");
    CHECK(of(machine).threads == 8);
    CHECK(of(machine).name == of(test::eight_cpus()).name);
  }
}

TEST_CASE("own budget: a rank borrows eight times its part and no more") {
  test::MapMachine machine = test::eight_cpus();
  machine.variables["OMPI_COMM_WORLD_LOCAL_SIZE"] = "16";
  machine.variables["OMPI_COMM_WORLD_RANK"] = "0";
  check_counts(of(machine), 1, 8, 8);
}

TEST_CASE("own budget: what Slurm gives each task by itself is nothing to lend") {
  test::MapMachine machine = test::eight_cpus();
  machine.variables["SLURM_JOB_ID"] = "7";
  machine.variables["SLURM_CPUS_PER_TASK"] = "4";
  machine.variables["SLURM_PROCID"] = "0";
  const govern::OwnBudget first = of(machine);
  CHECK(first.threads == 4);
  CHECK_FALSE(first.lends());
  machine.variables["SLURM_PROCID"] = "1";
  CHECK(of(machine).name != first.name);
}
