// What is believed of /proc/loadavg, and when.
#include <doctest/doctest.h>

#include "govern/grants/run_queue.h"

using namespace corewise::govern;

TEST_CASE("run queue: the fourth field of loadavg, or nothing") {
  CHECK(runnable_in("0.20 0.18 0.12 3/80 11206\n") == 3);
  CHECK(runnable_in("3/80") == 3);
  for (const char* garbage : {"", "\n", "0.20 0.18 0.12", "0.20 0.18 0.12 /80 1", "a b c -3/80 1",
                              "0 0 0 3x/80 1", "0 0 0 99999999999999/1 1"}) {
    CAPTURE(garbage);
    CHECK(!runnable_in(garbage));
  }
  keep_loadavg_open();
  const auto now = runnable_now();
  REQUIRE(now);
  CHECK(*now >= 1);
}

TEST_CASE("run queue: one reading means nothing, three of the last four do") {
  RunQueue queue;
  std::uint64_t now = 1000;
  for (const int seen : {5, 5}) queue.note(now += 4, seen);
  CHECK(queue.others(now) == 0);
  queue.note(now += 4, 5);
  CHECK(queue.others(now) == 5);
  SUBCASE("a thread that sleeps for a moment is still there") {
    queue.note(now += 4, 0);
    CHECK(queue.others(now) == 5);
    queue.note(now += 4, 0);
    CHECK(queue.others(now) == 0);
  }
  SUBCASE("old readings tell nothing, neither alone nor with a new one") {
    CHECK(queue.others(now + RunQueue::kFreshMs) == 5);
    CHECK(queue.others(now + RunQueue::kFreshMs + 1) == 0);
    queue.note(now + 1000, 5);
    CHECK(queue.others(now + 1000) == 0);
  }
  SUBCASE("fewer than ours is nobody else") {
    for (int i = 0; i < 4; ++i) queue.note(now += 4, -3);
    CHECK(queue.others(now) == 0);
  }
}

TEST_CASE("run queue: one caller reads, every few milliseconds") {
  RunQueue queue;
  CHECK(queue.due(1000));
  CHECK(!queue.due(1000));
  CHECK(!queue.due(1000 + RunQueue::kEveryMs - 1));
  CHECK(queue.due(1000 + RunQueue::kEveryMs));
}

TEST_CASE("run queue: a team keeps half the budget, whoever else is there") {
  CHECK(beside(0, 128, 128) == 128);
  CHECK(beside(3, 128, 128) == 125);
  CHECK(beside(128, 128, 128) == 64);
  CHECK(beside(1, 2, 2) == 1);
  CHECK(beside(100, 128, 4) == 28);
  CHECK(beside(1000, 1, 1) == 1);
}
