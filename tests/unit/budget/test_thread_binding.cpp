// Who narrowed the main thread's mask: an OpenMP runtime that bound the thread, or somebody else.
#include <doctest/doctest.h>
#include <malloc.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include "budget/budget.h"
#include "budget/thread_binding.h"
#include "govern/grants/mask_watch.h"
#include "ledger_fixture.h"
#include "map_machine.h"

using namespace corewise;
using thread_binding::conclude;
using thread_binding::Conclusion;
using thread_binding::Evidence;

namespace {

CpuSet cpus(const char* list) { return *parse_cpulist(list); }

Places places(std::initializer_list<const char*> all, int count) {
  Places made{{}, count};
  for (const char* place : all) made.all.push_back(cpus(place));
  return made;
}

Conclusion plain(const char* mask) { return {.pid = 1, .seen = cpus(mask), .own = cpus(mask)}; }

}  // namespace

TEST_CASE("binding: without a runtime that binds, the mask is the process's") {
  const Conclusion first = conclude(cpus("0-3"), nullptr, {});
  CHECK(first.own == cpus("0-3"));
  CHECK_FALSE(first.is_bound());
  const Conclusion narrowed = conclude(cpus("2"), &first, {});
  CHECK(narrowed.own == cpus("2"));
  CHECK(conclude(cpus("0-3"), &narrowed, {}).own == cpus("0-3"));
}

TEST_CASE("binding: libgomp's places tell, also when nobody saw the mask before") {
  const Evidence bound{.places = {places({"0", "1", "2", "3"}, 4)}};
  const Conclusion late = conclude(cpus("0"), nullptr, bound);
  CHECK(late.is_bound());
  CHECK(late.own == cpus("0-3"));
  SUBCASE("what it found was one CPU: somebody narrowed it before") {
    CHECK(conclude(cpus("0"), nullptr, {.places = {places({"0"}, 1)}}).own == cpus("0"));
  }
  SUBCASE("a mask that is no place is nobody's binding") {
    CHECK(conclude(cpus("0-1"), nullptr, bound).own == cpus("0-1"));
  }
  SUBCASE("fewer places than CPUs: the mask that has as many as it found") {
    const Evidence one{.places = {places({"0"}, 4)}, .before = {cpus("0")}, .launched = {}};
    CHECK(conclude(cpus("0"), nullptr, one).own == cpus("0"));
    Evidence told = one;
    told.launched = {cpus("0-1"), cpus("0-3"), cpus("0-7")};
    CHECK(conclude(cpus("0"), nullptr, told).own == cpus("0-3"));
    const Conclusion before = plain("0,4-6");
    CHECK(conclude(cpus("0"), &before, told).own == cpus("0,4-6"));
  }
}

TEST_CASE("binding: of a runtime that does not tell, a mask that becomes narrower is its binding") {
  const Evidence asked{.late_binder = true, .before = {cpus("0-7")}};
  const Conclusion before = plain("0-3");
  const Conclusion bound = conclude(cpus("1"), &before, asked);
  CHECK(bound.is_bound());
  CHECK(bound.own == cpus("0-3"));
  CHECK(conclude(cpus("1"), nullptr, asked).own == cpus("0-7"));
  SUBCASE("other CPUs are not: somebody moved the process") {
    CHECK(conclude(cpus("4"), &before, asked).own == cpus("4"));
  }
}

TEST_CASE("binding: what changes after it is the program's doing") {
  Evidence evidence{.places = {places({"0", "1"}, 2)}};
  const Conclusion bound = conclude(cpus("0"), nullptr, evidence);
  REQUIRE(bound.own == cpus("0-1"));
  const Conclusion moved = conclude(cpus("1"), &bound, evidence);
  CHECK(moved.own == cpus("1"));
  const Conclusion widened = conclude(cpus("0-1"), &moved, evidence);
  CHECK(widened.own == cpus("0-1"));
  CHECK(conclude(cpus("0"), &widened, evidence).own == cpus("0"));
  // Another runtime may still bind it.
  evidence.late_binder = true;
  CHECK(conclude(cpus("1"), &bound, evidence).own == cpus("1"));
  const Conclusion again = conclude(cpus("0"), &widened, evidence);
  CHECK(again.own == cpus("0-1"));
  CHECK(conclude(cpus("1"), &again, evidence).own == cpus("1"));
}

TEST_CASE("binding: libomp binds the thread of a forked process anew") {
  const Evidence evidence{.late_binder = true};
  const Conclusion before = plain("0-1");
  Conclusion bound = conclude(cpus("0"), &before, evidence);
  REQUIRE(bound.own == cpus("0-1"));
  SUBCASE("in the same process it does not") {
    const Conclusion widened = conclude(cpus("0-1"), &bound, evidence);
    CHECK(conclude(cpus("0"), &widened, evidence).own == cpus("0"));
  }
  SUBCASE("in a forked one it gave the mask back") {
    bound.forked = true;
    const Conclusion given_back = conclude(cpus("0-1"), &bound, evidence);
    CHECK(given_back.own == cpus("0-1"));
    CHECK(conclude(cpus("0"), &given_back, evidence).own == cpus("0-1"));
    CHECK(conclude(cpus("1"), &bound, evidence).own == cpus("1"));
  }
}

TEST_CASE("binding: a live process learns of its own mask, and its child of the child's") {
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    const OwnMachine machine;
    const auto all = compute_budget(machine);
    const auto narrow = [](const CpuSet& to) {
      os::MainThreadMask mask;
      for (std::size_t cpu = to.next(0); cpu < CpuSet::kCapacity; cpu = to.next(cpu + 1)) {
        mask.words[cpu / 64] |= std::uint64_t{1} << cpu % 64;
      }
      return sched_setaffinity(0, sizeof mask.words,
                               reinterpret_cast<const cpu_set_t*>(mask.words.data())) == 0;
    };
    CpuSet one;
    one.add(all->allowed.next(0));
    if (!narrow(one)) _exit(3);
    const auto narrowed = compute_budget(machine);
    if (narrowed->allowed != one) _exit(4);
    const pid_t grandchild = fork();
    if (grandchild == 0) {
      if (compute_budget(machine)->allowed != one) _exit(5);
      if (!narrow(all->allowed)) _exit(6);
      _exit(compute_budget(machine)->allowed == all->allowed ? 0 : 7);
    }
    int status = 0;
    if (waitpid(grandchild, &status, 0) != grandchild || status != 0) _exit(8);
    _exit(compute_budget(machine)->allowed == one ? 0 : 9);
  }
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  CHECK(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 0);
}

TEST_CASE("binding: the budget is that of the mask from before, and says so") {
  auto machine = test::eight_cpus();
  machine.files["/proc/self/status"] = "Cpus_allowed_list:\t3\n";
  machine.variables["OMP_PROC_BIND"] = "close";
  SUBCASE("as the process itself knows") {
    machine.own = os::ProcessMask{"0-5", true};
    const auto budget = compute_budget(machine);
    CHECK(budget->cpus == 6);
    CHECK(budget->findings.empty());
    const Constraint& mask = budget->constraints.at(1);
    CHECK(mask.where == "the mask before OpenMP (OMP_PROC_BIND=close)");
    CHECK(mask.detail == "CPUs 0-5; OpenMP bound the main thread to 3");
  }
  SUBCASE("as the other threads' masks show from outside") {
    machine.files["/proc/self/task/7/status"] = "Name:\tx\nCpus_allowed_list:\t3\n";
    machine.files["/proc/self/task/8/status"] = "Name:\tx\nCpus_allowed_list:\t0-3\n";
    CHECK(compute_budget(machine)->cpus == 4);
    machine.variables.clear();
    CHECK(compute_budget(machine)->cpus == 1);
  }
  SUBCASE("unless the process knows that it was narrowed") {
    machine.files["/proc/self/task/8/status"] = "Cpus_allowed_list:\t0-3\n";
    machine.own = os::ProcessMask{"3", false};
    const auto budget = compute_budget(machine);
    CHECK(budget->cpus == 1);
    CHECK(budget->findings.empty());
  }
}

TEST_CASE("binding: a variable that forbids it asks for nothing, however it is written") {
  test::MapMachine machine;
  for (const char* nobody : {"", "false", "False", "FALSE", " false ", "Disabled", "none"}) {
    machine.variables["OMP_PROC_BIND"] = nobody;
    CHECK_MESSAGE(binding_request(machine).empty(), nobody);
  }
  machine.variables["GOMP_CPU_AFFINITY"] = "0-3";
  CHECK(binding_request(machine) == "GOMP_CPU_AFFINITY=0-3");
  machine.variables["OMP_PROC_BIND"] = "True";
  CHECK(binding_request(machine) == "OMP_PROC_BIND=True");
}

TEST_CASE("mask watch: a change bounds at once, unless a runtime may have made it") {
  os::MainThreadMask all;
  all.known = true;
  all.words[0] = 0xff;
  os::MainThreadMask one = all;
  one.words[0] = 2;
  govern::MaskWatch watch;
  watch.saw(one);
  CHECK_FALSE(watch.is_stale());
  watch.expect(all, false);
  watch.saw(all);
  CHECK(watch.most() == govern::kMaxBudget);
  watch.saw(one);
  CHECK(watch.most() == 1);
  CHECK(watch.is_stale());
  watch.saw(all);
  CHECK(watch.most() == govern::kMaxBudget);
  CHECK_FALSE(watch.is_stale());
  watch.expect(all, true);
  watch.saw(one);
  CHECK(watch.most() == govern::kMaxBudget);
  CHECK(watch.is_stale());
  one.known = false;
  watch.expect(all, false);
  watch.saw(one);
  CHECK_FALSE(watch.is_stale());
}

TEST_CASE("binding: a kernel's mask as bits says what its list says") {
  const auto mask = os::main_thread_mask();
  REQUIRE(mask.known);
  CHECK(mask.to_list() == *os::LiveMachine().affinity());
  CHECK(mask.count() == parse_cpulist(mask.to_list())->count());
}

TEST_CASE("binding: a program that goes back and forth between two masks keeps no memory") {
  CHECK(test::in_child([] {
          const os::LiveMachine machine;
          const auto swing = [&](int times) {
            for (int i = 0; i < times; ++i)
              thread_binding::own_mask(machine, i % 2 == 0 ? "0" : "0-1");
          };
          swing(10);
          const auto before = ::mallinfo2().uordblks;
          swing(1000);
          return ::mallinfo2().uordblks > before + 100'000 ? 1 : 0;
        }) == 0);
}
