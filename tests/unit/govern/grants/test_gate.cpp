// The gate, with a granter made here: who is inside, and what is given back.
#include <doctest/doctest.h>
#include <setjmp.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <thread>

#include "govern/grants/gate.h"
#include "grant_table.h"

using namespace corewise::govern;

namespace {

using Table = corewise::test::GrantTable;

gate::Visit region(int wanted) { return gate::enter(gate::VisitKind::kRegion, wanted); }

jmp_buf way_out;

[[gnu::noinline]] void leave_without_a_word(int wanted) {
  region(wanted);
  longjmp(way_out, 1);
}

}  // namespace

TEST_CASE("what is nested gets one thread, and asks nobody") {
  Table table(4);
  const auto outer = region(6);
  CHECK(outer.threads == 4);
  CHECK(gate::is_inside());
  [&]() __attribute__((noinline)) {
    const auto inner = region(3);
    CHECK(inner.threads == 1);
    CHECK_FALSE(inner.counted);
    gate::leave(inner);
  }();
  CHECK(table.free == 0);
  gate::leave(outer);
  CHECK(table.free == 4);
  CHECK_FALSE(gate::is_inside());
}

TEST_CASE("what wants one thread passes and costs nothing") {
  Table table(4);
  const auto visit = region(1);
  CHECK(visit.threads == 1);
  CHECK(table.open == 0);
  gate::leave(visit);
}

TEST_CASE("under a team of one, the nested may take what is free by then") {
  Table table(1);
  const auto outer = region(4);
  CHECK(outer.threads == 1);
  table.free += 3;
  [&]() __attribute__((noinline)) {
    const auto inner = region(4);
    CHECK(inner.threads == 4);
    gate::leave(inner);
  }();
  gate::leave(outer);
  CHECK(table.free == 4);
  CHECK(table.open == 0);
}

TEST_CASE("a worker of a team is inside") {
  Table table(4);
  std::thread([&] {
    const gate::TeamMember member(2);
    CHECK(region(4).threads == 1);
  }).join();
  CHECK(table.open == 0);
}

TEST_CASE("a team of one does not take its thread out of the team that it works in") {
  Table table(4);
  std::thread([&] {
    const gate::TeamMember member(2);
    const gate::TeamMember serial(1);
    CHECK(gate::is_inside());
  }).join();
}

TEST_CASE("a whole team is counted by what is free, and keeps its size") {
  Table table(2);
  const auto visit = gate::enter(gate::VisitKind::kRegion, 5, true);
  CHECK(visit.threads == 5);
  CHECK(visit.crowded);
  CHECK(table.free == 0);
  gate::leave(visit);
  CHECK(table.free == 2);
}

TEST_CASE("a team that has room is not crowded") {
  Table table(4);
  for (const bool whole : {false, true}) {
    const auto visit = gate::enter(gate::VisitKind::kRegion, 4, whole);
    CHECK_FALSE(visit.crowded);
    gate::leave(visit);
  }
}

TEST_CASE("in a whole team that was granted one thread, calls get one and regions stay whole") {
  Table table(1);
  const auto outer = gate::enter(gate::VisitKind::kRegion, 4, true);
  CHECK(gate::is_inside());
  [&]() __attribute__((noinline)) {
    const auto call = gate::enter(gate::VisitKind::kCall, 3);
    CHECK(call.threads == 1);
    gate::leave(call);
    const auto region = gate::enter(gate::VisitKind::kRegion, 3, true);
    CHECK(region.threads == 3);
    CHECK_FALSE(region.counted);
    CHECK(region.governed);
    gate::leave(region);
  }();
  CHECK(table.open == 1);
  gate::leave(outer);
  CHECK(table.open == 0);
  CHECK_FALSE(gate::is_inside());
}

TEST_CASE("what ran whole counts as granted, and nothing as withheld") {
  Table table(1);
  const gate::Tally before = gate::tally();
  gate::leave(gate::enter(gate::VisitKind::kRegion, 4, true));
  const gate::Tally after = gate::tally();
  CHECK(after.granted - before.granted == 4);
  CHECK(after.shortened == before.shortened);
  CHECK(after.withheld == before.withheld);
}

TEST_CASE("a tenancy holds what it was granted last, and any thread may give it back") {
  Table table(4);
  gate::Tenancy tenancy;
  tenancy.leave();
  CHECK(tenancy.enter(3, gate::kNoPool) == 3);
  CHECK(gate::is_busy());
  CHECK_FALSE(gate::is_inside());
  CHECK(tenancy.enter(6, gate::kNoPool) == 4);
  CHECK(table.open == 1);
  gate::cap_pool(7, 2);
  CHECK(tenancy.enter(6, 7) == 2);
  gate::cap_pool(7, 0);
  CHECK(table.free == 2);
  std::thread([&] { tenancy.leave(); }).join();
  CHECK(table.free == 4);
  CHECK(table.open == 0);
  CHECK_FALSE(gate::is_busy());
  gate::open(nullptr);
  CHECK(tenancy.enter(6, gate::kNoPool) == 6);
  CHECK(tenancy.enter(0, gate::kNoPool) == 1);
  CHECK_FALSE(gate::is_busy());
}

TEST_CASE("a tenancy of the parent is not the child's to give back") {
  Table table(4);
  gate::Tenancy tenancy;
  tenancy.enter(3, gate::kNoPool);
  const pid_t child = fork();
  if (child == 0) {
    tenancy.leave();
    _exit(table.free == 1 && !gate::is_busy() && tenancy.enter(1, gate::kNoPool) == 1 ? 0 : 1);
  }
  int status = -1;
  waitpid(child, &status, 0);
  CHECK(status == 0);
  tenancy.leave();
  CHECK(table.free == 4);
}

TEST_CASE("a cap holds for its own pool, and asks for no more than it allows") {
  Table table(8);
  const std::uint64_t withheld = gate::tally().withheld;
  gate::cap_pool(3, 2);
  const auto capped = gate::enter(gate::VisitKind::kRegion, 6, false, 3);
  CHECK(capped.threads == 2);
  CHECK(table.free == 6);
  gate::leave(capped);
  const auto other = gate::enter(gate::VisitKind::kRegion, 6, false, 4);
  CHECK(other.threads == 6);
  gate::leave(other);
  // What keeps its size whatever it is told is left alone.
  const auto exact = gate::enter(gate::VisitKind::kRegion, 6, true, 3);
  CHECK(exact.threads == 6);
  gate::leave(exact);
  CHECK(gate::tally().withheld == withheld);
  gate::cap_pool(3, 0);
  CHECK(gate::cap_of(3) == 0);
  const auto free = gate::enter(gate::VisitKind::kRegion, 6, false, 3);
  CHECK(free.threads == 6);
  gate::leave(free);
  gate::cap_pool(gate::kNoPool, 1);
  CHECK(gate::cap_of(gate::kNoPool) == 0);
}

TEST_CASE("a region left by longjmp is given back at the next one") {
  Table table(4);
  if (setjmp(way_out) == 0) leave_without_a_word(3);
  CHECK(table.free == 1);
  const auto next = region(4);
  CHECK(next.threads == 4);
  gate::leave(next);
  CHECK(table.free == 4);
  CHECK(table.open == 0);
}

TEST_CASE("leaving twice, or what was never entered, changes nothing") {
  Table table(4);
  const auto visit = region(2);
  gate::leave(visit);
  gate::leave(visit);
  gate::leave({3, true});
  CHECK(table.free == 4);
}

TEST_CASE("the closed gate lets everybody pass, and who is inside can still leave") {
  auto table = Table(4);
  const auto visit = region(2);
  gate::open(nullptr);
  CHECK(region(7).threads == 7);
  gate::leave(visit);
  CHECK(table.free == 4);
}

TEST_CASE("the child of a fork begins outside") {
  Table table(4);
  const auto visit = region(2);
  const pid_t child = fork();
  if (child == 0) {
    const bool outside = !gate::is_inside() && !gate::is_busy() && gate::tally().regions == 0;
    gate::leave(visit);
    _exit(outside && table.free == 2 ? 0 : 1);
  }
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  CHECK(status == 0);
  gate::leave(visit);
}

TEST_CASE("the observer hears of teams, and when the last one has gone") {
  static int busy, idle;
  busy = idle = 0;
  static constexpr gate::Observer kObserver = {[] { ++busy; }, [] { ++idle; }};
  Table table(4);
  gate::observe(&kObserver);
  const auto team = region(2);
  CHECK(busy == 1);
  gate::leave(team);
  CHECK(idle == 1);
  const auto call = gate::enter(gate::VisitKind::kCall, 2);
  CHECK(busy == 1);
  gate::leave(call);
  CHECK(idle == 2);
}

TEST_CASE("counts add up") {
  Table table(3);
  const auto before = gate::tally();
  const auto visit = region(5);
  [&]() __attribute__((noinline)) { gate::leave(gate::enter(gate::VisitKind::kCall, 2)); }();
  gate::leave(visit);
  const auto after = gate::tally();
  CHECK(after.regions - before.regions == 1);
  CHECK(after.nested - before.nested == 1);
  CHECK(after.granted - before.granted == 3);
  CHECK(after.withheld - before.withheld == 2);
  CHECK(after.not_needed_ns > before.not_needed_ns);
}

TEST_CASE("a nest remembers which visits count, to a depth of 32") {
  gate::Nest nest;
  CHECK(nest.empty());
  CHECK_FALSE(nest.pop().counted);
  for (int i = 0; i < 38; ++i) nest.push({1, i % 2 == 0});
  for (int i = 37; i >= 0; --i) CHECK(nest.pop().counted == (i < 32 && i % 2 == 0));
  CHECK(nest.empty());
}
