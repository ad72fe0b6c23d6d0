// Every machine of tests/recorded gets the answer that a person worked out for it.
#include <doctest/doctest.h>

#include "budget/budget.h"
#include "machine_folder.h"
#include "read_json.h"

using namespace corewise;

namespace {

std::vector<std::string> binding(const Budget& budget) {
  std::vector<std::string> all;
  for (const Constraint& one : budget.constraints) {
    if (one.binding) all.push_back(std::string(source_name(one.source)) + " " + one.where);
  }
  return all;
}

void compare(const Budget& budget, const test::JsonValue& expected) {
  CHECK(budget.cpus == doctest::Approx(expected.at("cpus").number()).epsilon(1e-12));
  CHECK(budget.floor == expected.at("floor").number());
  CHECK(budget.ceil == expected.at("ceil").number());
  CHECK(budget.allowed.to_list() == expected.at("allowed").text);
  CHECK(budget.topology.cpus == budget.allowed.count());
  CHECK(budget.topology.cores == expected.at("cores").number());
  CHECK(budget.topology.threads_per_core == expected.at("threads_per_core").number());
  CHECK(budget.topology.packages == expected.at("packages").number());
  CHECK(budget.topology.numa_nodes == expected.at("numa_nodes").number());
  CHECK(budget.topology.performance_cpus == expected.at("performance_cpus").number());
  CHECK(budget.topology.efficiency_cpus == expected.at("efficiency_cpus").number());
  CHECK(binding(budget) == expected.at("binding").strings());

  const auto findings = expected.at("findings").strings();
  CHECK(budget.findings.size() == findings.size());
  for (std::size_t i = 0; i < budget.findings.size(); ++i) {
    CAPTURE(budget.findings[i]);
    CHECK(i < findings.size());
    if (i < findings.size()) CHECK(budget.findings[i].find(findings[i]) != std::string::npos);
  }
}

}  // namespace

TEST_CASE("every recorded machine gets its expected budget") {
  const test::MachineFolder folder;
  REQUIRE(folder.made());
  const auto machines = folder.all();
  CHECK(machines.size() >= 60);
  for (const auto& root : machines) {
    CAPTURE(root.filename().string());
    const auto expected = test::JsonReader::read(test::slurp(root / "expect.json"));
    CAPTURE(expected.at("why").text);
    const os::RecordedMachine machine(root.string());
    const auto budget = compute_budget(machine);
    REQUIRE(budget);
    compare(*budget, expected);
    CHECK_FALSE(budget_changed(*budget, machine));

    const auto json = test::JsonReader::read(budget_json(*budget));
    CHECK(json.at("floor").number() == budget->floor);
    CHECK(json.at("constraints").items.size() == budget->constraints.size());
    CHECK(json.at("findings").items.size() == budget->findings.size());
  }
}
