// What the core does around a fork: its locks, and the order of them.
#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstddef>
#include <string_view>
#include <thread>

#include "os/fork.h"

using namespace corewise;
using os::ForkRank;

namespace {

std::mutex& lock_at(std::size_t i) { return os::fork_lock(static_cast<ForkRank>(i)); }

// The exit code of a child that does this.
template <class Do>
int in_child(const Do& something) {
  const pid_t child = ::fork();
  if (child == 0) {
    ::alarm(20);  // for what waits for ever
    ::_exit(something());
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

// Handlers are plain functions.
std::array<char, 8> order{};
std::size_t called = 0;
void note(char what) { order.at(called++) = what; }
std::string_view noted() { return {order.data(), called}; }

}  // namespace

TEST_CASE("a child can take every lock, whoever held it when its parent forked") {
  std::atomic<bool> ended{false};
  std::thread busy([&] {
    while (!ended.load()) {
      for (std::size_t i = 0; i < os::kForkRanks; ++i) lock_at(i).lock();
      for (std::size_t i = os::kForkRanks; i-- > 0;) lock_at(i).unlock();
    }
  });
  int wrong = 0;
  for (int i = 0; i < 100; ++i) {
    wrong += in_child([] {
      for (std::size_t rank = 0; rank < os::kForkRanks; ++rank) {
        if (!lock_at(rank).try_lock()) return 1;
      }
      return 0;
    });
  }
  ended = true;
  busy.join();
  CHECK(wrong == 0);
}

TEST_CASE("handlers run from the first rank to the last, and back") {
  os::at_fork(ForkRank::kSampler, {[] { note('S'); }, [] { note('s'); }, [] { note('c'); }});
  os::at_fork(ForkRank::kReport, {[] { note('R'); }, [] { note('r'); }, [] { note('e'); }});
  const int in_the_child = in_child([] { return noted() == "SRec" ? 0 : 1; });
  os::at_fork(ForkRank::kSampler, {});
  os::at_fork(ForkRank::kReport, {});
  CHECK(in_the_child == 0);
  CHECK(noted() == "SRrs");
}
