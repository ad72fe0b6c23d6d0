// Who holds what of a ledger, and which files go.
#include <doctest/doctest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <filesystem>
#include <fstream>

#include "govern/ledger/ledger_holders.h"
#include "ledger_fixture.h"
#include "map_machine.h"

using namespace corewise;
using corewise::test::LedgerFolder;

TEST_CASE("how long a process has not run, from the kernel's schedule") {
  test::MapMachine machine;
  machine.files["/proc/uptime"] = "100.50 380.00\n";
  std::string& schedule = machine.files["/proc/7/sched"];
  const auto idle = [&] { return govern::idle_of(machine, 7); };
  CHECK_FALSE(idle().has_value());
  schedule = "x (7, #threads: 1)\nse.exec_start    :    90500.25\nse.vruntime : 3.0\n";
  CHECK(idle() == doctest::Approx(10).epsilon(0.001));
  schedule = "x (7, #threads: 1)\nse.exec_start";
  CHECK_FALSE(idle().has_value());
  schedule += "    :    ";
  CHECK_FALSE(idle().has_value());
}

TEST_CASE("the files of ended groups go when another group begins") {
  const LedgerFolder folder;
  const auto there = [](const std::string& path) { return std::filesystem::exists(path); };
  const std::string ended = folder.open(4, "ended")->path();
  CHECK(there(ended));
  // One that is open, though nobody has asked it for a thread yet.
  const auto idle = folder.open(4, "idle");
  CHECK_FALSE(there(ended));
  // One whose process was killed amid a region.
  const std::string killed = folder.open(4, "killed")->path();
  const int status = test::in_child([&] {
    folder.open(4, "killed").release()->acquire(4);
    return 0;
  });
  CHECK(status == 0);
  std::string strange = folder.path() + "/" + std::string("corewise-0-ffffffffffffffff");
  std::ofstream(strange) << "not ours";
  const auto next = folder.open(4, "next");
  CHECK(there(idle->path()));
  CHECK(there(next->path()));
  CHECK(there(strange));
  CHECK_FALSE(there(killed));
  const auto again = folder.open(4, "killed");
  CHECK(again->shared());
  CHECK(there(again->path()));
  CHECK(there(idle->path()));
}

TEST_CASE("who holds what: a process that runs, is stopped, has ended") {
  const LedgerFolder folder;
  const auto ledger = folder.open(4);
  std::array<int, 2> told{};
  REQUIRE(::pipe(told.data()) == 0);
  const pid_t child = ::fork();
  if (child == 0) {
    folder.open(4).release()->acquire(3);
    if (::write(told[1], "x", 1) != 1) ::_exit(1);
    for (;;) ::pause();
  }
  char x = 0;
  REQUIRE(::read(told[0], &x, 1) == 1);
  const auto grant = ledger->acquire(1);
  const auto holder = [&] {
    const auto all = govern::held_ledgers(folder.path());
    REQUIRE(all.size() == 1);
    CHECK(all[0].budget == 4);
    for (const Holder& one : all[0].holders) {
      if (one.pid == child) return one;
    }
    return Holder{};
  };
  CHECK(holder().tokens == 3);
  CHECK(holder().state == HolderState::kRuns);
  CHECK(!holder().program.empty());
  ::kill(child, SIGSTOP);
  int status = 0;
  ::waitpid(child, &status, WUNTRACED);
  CHECK(holder().state == HolderState::kStopped);
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  CHECK(holder().state == HolderState::kGone);
  ledger->release(grant);
  ::close(told[0]);
  ::close(told[1]);
}
