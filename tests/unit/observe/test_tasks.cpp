#include <doctest/doctest.h>
#include <unistd.h>

#include <algorithm>

#include "observe/tasks.h"

using namespace corewise;

TEST_CASE("A thread's lines, whatever it is called") {
  const auto task = observe::parse_task(
      "77 (a) R 1 (b) R 1 77 77 0 -1 4194304 0 0 0 0 33 17 4 2 20 0 3 0 2513071 16961536 3320 1 1 "
      "1",
      "350271043 7418865 62\n");
  CHECK(task.tid == 77);
  CHECK(task.state == 'R');
  CHECK(task.start == 2513071);
  CHECK(task.cpu_ns == 350271043);
  CHECK(task.delay_ns == 7418865);
}

TEST_CASE("Kernels that count no delays tell the time in ticks") {
  for (const char* schedstat : {"", "0 0 0\n"}) {
    const auto task = observe::parse_task(
        "77 (x) S 1 77 77 0 -1 4194304 0 0 0 0 33 17 4 2 20 0 3 0 2513071 16961536 3320 1 1 1",
        schedstat);
    CHECK(task.cpu_ns == 50ULL * 1'000'000'000 / static_cast<unsigned long>(sysconf(_SC_CLK_TCK)));
    CHECK(task.delay_ns == 0);
  }
}

TEST_CASE("Text that is no thread's") {
  for (const char* text : {"", "77", "77 (x", "77 (x) "}) {
    CHECK(observe::parse_task(text, "").tid == 0);
  }
}

TEST_CASE("The threads of this process are there; those of none are not") {
  const auto tasks = observe::read_tasks("/proc/self");
  CHECK(std::ranges::count(tasks, ::getpid(), &observe::Task::tid) == 1);
  CHECK(observe::read_tasks("/nowhere").empty());
}
