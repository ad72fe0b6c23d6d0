// The budget beyond the recorded machines: the caller's cap, re-reading, and hostile bytes.
#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <random>

#include "budget/budget.h"
#include "budget/survey.h"
#include "machine_folder.h"
#include "map_machine.h"
#include "read_json.h"

using namespace corewise;

namespace {

constexpr const char* kCpuMax = "/sys/fs/cgroup/a/b/cpu.max";

Budget budget_of(const os::Machine& machine) {
  auto budget = compute_budget(machine);
  REQUIRE(budget);
  return *budget;
}

// What must hold whatever the machine says.
void check_sane(const Budget& budget) {
  REQUIRE(std::isfinite(budget.cpus));
  REQUIRE(budget.cpus > 0);
  REQUIRE(budget.floor >= 1);
  REQUIRE(budget.ceil >= budget.floor);
  REQUIRE(budget.floor <= std::max(1, budget.allowed.count()));
  REQUIRE(budget.allowed.count() >= 1);
  REQUIRE(budget.topology.cores <= budget.topology.cpus);
  bool binding = false;
  for (const Constraint& one : budget.constraints) {
    REQUIRE(one.cpus > 0);
    binding |= one.binding;
  }
  REQUIRE(binding);
}

}  // namespace

TEST_CASE("the caller's cap bounds, or is refused with a reason") {
  const auto machine = test::eight_cpus();
  const auto capped = compute_budget(machine, 2.5);
  REQUIRE(capped);
  CHECK(capped->cpus == 2.5);
  CHECK(capped->floor == 2);
  CHECK(capped->ceil == 3);
  CHECK(capped->constraints.back().where == "argument");
  CHECK(capped->constraints.back().binding);
  CHECK(compute_budget(machine, 8.0)->cpus == 8);

  const double nan = std::numeric_limits<double>::quiet_NaN();
  const double infinity = std::numeric_limits<double>::infinity();
  for (const double bad : {0.0, -1.0, nan, infinity, -infinity, 8.5, 1e300}) {
    const auto refused = compute_budget(machine, bad);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().status == CW_BAD_ARGUMENT);
    CHECK(refused.error().what.find("budget of") != std::string::npos);
  }
  CHECK(parse_cap("1.5").operator bool());
  CHECK_FALSE(parse_cap("many"));
  CHECK(parse_cap("many").error().what.find("'many'") != std::string::npos);
}

TEST_CASE("a change of quota, mask or cgroup is seen, other lines are not") {
  auto machine = test::eight_cpus();
  Budget budget = budget_of(machine);
  CHECK_FALSE(budget_changed(budget, machine));

  machine.files["/proc/self/status"] = "Name:\ty\nCpus_allowed_list:\t0-7\nThreads:\t99\n";
  CHECK_FALSE(budget_changed(budget, machine));

  machine.files[kCpuMax] = "150000 100000\n";
  CHECK(budget_changed(budget, machine));
  budget = budget_of(machine);
  CHECK(budget.cpus == 1.5);

  machine.files["/sys/fs/cgroup/a/cpu.max"] = "50000 100000\n";
  CHECK(budget_changed(budget, machine));
  budget = budget_of(machine);
  CHECK(budget.cpus == 0.5);

  machine.files.erase("/sys/fs/cgroup/a/cpu.max");
  machine.files["/proc/self/cgroup"] = "0::/c\n";
  CHECK(budget_changed(budget, machine));
  budget = budget_of(machine);
  CHECK(budget.cpus == 8);

  machine.files["/proc/self/status"] = "Cpus_allowed_list:\t2-3\n";
  CHECK(budget_changed(budget, machine));
  budget = budget_of(machine);
  CHECK(budget.cpus == 2);

  machine.files["/sys/devices/system/cpu/online"] = "0-2\n";
  CHECK(budget_changed(budget, machine));
  budget = budget_of(machine);
  CHECK(budget.allowed.to_list() == "2");
  CHECK_FALSE(budget_changed(budget, machine));
}

TEST_CASE("looking for changes reads a handful of files, whatever the number of CPUs") {
  const auto machine = test::eight_cpus();
  const Budget budget = budget_of(machine);
  machine.reads = 0;
  CHECK_FALSE(budget_changed(budget, machine));
  CHECK(machine.reads == static_cast<int>(budget.watched.size()));
  CHECK(machine.reads <= 10);
}

TEST_CASE("Slurm's counts per node") {
  CHECK(parse_slurm_counts("4", {}) == 4);
  CHECK(parse_slurm_counts("2(x3),1", 0) == 2);
  CHECK(parse_slurm_counts("2(x3),1", 2) == 2);
  CHECK(parse_slurm_counts("2(x3),1", 3) == 1);
  CHECK(parse_slurm_counts("2(x3),1", 9) == 2);
  CHECK(parse_slurm_counts("1,7,3", {}) == 7);
  CHECK(parse_slurm_counts("5(x1048576),5(x1048576)", 1u << 20) == 5);
  for (const char* text : {"", "0", "2(x", "2(3)", "2(x0)", "2x3", "2(x3)1", "1,", ",1", "a"}) {
    CAPTURE(text);
    CHECK_FALSE(parse_slurm_counts(text, {}));
  }
}

TEST_CASE("LSF's hosts") {
  CHECK(parse_lsf_hosts("alpha 4 beta 8", "beta") == 8);
  CHECK(parse_lsf_hosts("alpha.x.org 4", "alpha") == 4);
  CHECK(parse_lsf_hosts("alpha 4", "alpha.x.org") == 4);
  CHECK_FALSE(parse_lsf_hosts("alpha 4", "gamma"));
  CHECK_FALSE(parse_lsf_hosts("alpha 4", ""));
  CHECK_FALSE(parse_lsf_hosts("alpha", "alpha"));
}

TEST_CASE("random damage never breaks the budget") {
  std::mt19937 random(4);
  const auto below = [&](std::size_t n) { return static_cast<std::size_t>(random()) % n; };
  for (int round = 0; round < 4000; ++round) {
    auto machine = test::eight_cpus();
    machine.variables = {{"SLURM_CPUS_ON_NODE", "8"},         {"SLURM_TASKS_PER_NODE", "2(x3),1"},
                         {"LSB_MCPU_HOSTS", "a 1 b 2"},       {"LOKY_MAX_CPU_COUNT", "6"},
                         {"OMPI_COMM_WORLD_LOCAL_SIZE", "2"}, {"COREWISE_BUDGET", "7.5"}};
    const auto damage = [&](std::string& text) {
      for (std::size_t hits = 1 + below(3); hits > 0; --hits) {
        const std::size_t at = below(text.size() + 1);
        switch (below(4)) {
          case 0:
            text.resize(at);
            break;
          case 1:
            text.insert(at, 1, static_cast<char>(below(256)));
            break;
          case 2:
            text += text;
            break;
          default:
            if (at < text.size()) text[at] = "0123456789-,:/ \n"[below(16)];
        }
      }
    };
    for (auto& [path, text] : machine.files) {
      if (below(4) == 0) damage(text);
    }
    for (auto& [name, text] : machine.variables) {
      if (below(4) == 0) damage(text);
    }
    const Budget budget = budget_of(machine);
    check_sane(budget);
    REQUIRE_FALSE(budget_changed(budget, machine));
    REQUIRE_NOTHROW(test::JsonReader::read(budget_json(budget)));
  }
}

TEST_CASE("a recorded variable is found whole") {
  std::string root = (std::filesystem::temp_directory_path() / "env.XXXXXX").string();
  REQUIRE(mkdtemp(root.data()) != nullptr);
  std::ofstream(root + "/env") << "AB=1\nA=x=y\nEMPTY=\nA=second\nno equals sign\nLAST=z";
  const os::RecordedMachine machine(root);
  CHECK(machine.variable("A") == "x=y");
  CHECK(machine.variable("EMPTY") == "");
  CHECK(machine.variable("LAST") == "z");
  CHECK_FALSE(machine.variable("B"));
  CHECK_FALSE(machine.variable("no equals sign"));
  CHECK_FALSE(machine.affinity());
  CHECK(machine.read("/proc").access == os::FileText::Access::kMissing);
  CHECK(machine.read("/").access == os::FileText::Access::kUnreadable);
  std::filesystem::remove_all(root);
}
