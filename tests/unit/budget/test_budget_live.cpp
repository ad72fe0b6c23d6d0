// The budget of this machine: from any thread, in a real control group, and its cost.
#include <doctest/doctest.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>

#include "budget/budget.h"

using namespace corewise;

namespace {

Budget budget_of(const os::Machine& machine) {
  auto budget = compute_budget(machine);
  REQUIRE(budget);
  return *budget;
}

bool write_to(const std::string& path, const std::string& text) {
  std::ofstream out(path);
  out << text << std::flush;
  return out.good();
}

// A control group with one below it, removed at the end. Empty where this system or user has none
// to give.
class RealCgroup {
 public:
  RealCgroup() {
    const bool v2 = std::filesystem::exists("/sys/fs/cgroup/cgroup.controllers");
    const std::string top = v2 ? "/sys/fs/cgroup" : "/sys/fs/cgroup/cpu";
    const std::string folder = top + "/corewise-test-" + std::to_string(getpid());
    std::error_code failed;
    if (!std::filesystem::create_directory(folder, failed) || failed) return;
    outer = folder;
    std::filesystem::create_directory(inner(), failed);
    limited = v2 ? write_to(outer + "/cpu.max", "75000 100000")
                 : write_to(outer + "/cpu.cfs_quota_us", "75000");
  }
  RealCgroup(const RealCgroup&) = delete;
  RealCgroup& operator=(const RealCgroup&) = delete;
  ~RealCgroup() {
    if (outer.empty()) return;
    rmdir(inner().c_str());
    rmdir(outer.c_str());
  }
  std::string inner() const { return outer + "/inner"; }

  std::string outer;
  bool limited = false;
};

}  // namespace

TEST_CASE("the kernel's own quota on an ancestor is found") {
  const RealCgroup cgroup;
  if (!cgroup.limited) {
    MESSAGE("skipped: no control group can be made here");
    return;
  }
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    if (!write_to(cgroup.inner() + "/cgroup.procs", "0")) _exit(3);
    const auto budget = compute_budget(os::LiveMachine());
    const bool right = budget && std::abs(budget->cpus - 0.75) < 1e-9 && budget->floor == 1;
    _exit(right ? 0 : 1);
  }
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  CHECK(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 0);
}

TEST_CASE("the live budget is the main thread's, from any thread") {
  const os::LiveMachine machine;
  const Budget before = budget_of(machine);
  cpu_set_t main_mask;
  REQUIRE(sched_getaffinity(getpid(), sizeof main_mask, &main_mask) == 0);
  CHECK(before.allowed.count() == CPU_COUNT(&main_mask));
  CHECK(parse_cpulist(*machine.affinity())->to_list() == before.allowed.to_list());

  // An OpenMP runtime binds its workers; that must not shrink the budget they see.
  std::thread([&] {
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(before.allowed.next(0), &one);
    CHECK(sched_setaffinity(0, sizeof one, &one) == 0);
    const auto bound = compute_budget(machine);
    CHECK(bound);
    CHECK(bound->cpus == before.cpus);
    CHECK_FALSE(budget_changed(before, machine));
  }).join();
}

TEST_CASE("the live budget is cheap to compute and cheaper to check") {
  const os::LiveMachine machine;
  const Budget budget = budget_of(machine);
  const auto start = std::chrono::steady_clock::now();
  constexpr int kRounds = 200;
  for (int i = 0; i < kRounds; ++i) REQUIRE_FALSE(budget_changed(budget, machine));
  const auto middle = std::chrono::steady_clock::now();
  for (int i = 0; i < kRounds; ++i) REQUIRE(compute_budget(machine));
  const auto end = std::chrono::steady_clock::now();
  using Microseconds = std::chrono::duration<double, std::micro>;
  MESSAGE("check ", Microseconds(middle - start).count() / kRounds, " us, compute ",
          Microseconds(end - middle).count() / kRounds, " us");
}
