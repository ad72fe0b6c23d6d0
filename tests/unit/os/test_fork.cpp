// What the core does around a fork: its locks, and the order of them.
#include <doctest/doctest.h>
#include <signal.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <mutex>
#include <string_view>
#include <thread>
#include <utility>

#include "os/fork.h"

using namespace corewise;
using os::ForkRank;

namespace {

os::ForkLock& lock_at(std::size_t i) { return os::fork_lock(static_cast<ForkRank>(i)); }

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

// 0, or the first rank that this process's only thread cannot take.
int first_taken() {
  for (std::size_t rank = 0; rank < os::kForkRanks; ++rank) {
    if (!lock_at(rank).try_lock()) return static_cast<int>(rank) + 1;
  }
  return 0;
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
    wrong += in_child([] { return first_taken() == 0 ? 0 : 1; });
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

TEST_CASE("a lock is taken again by its holder alone, and only if asked to") {
  os::ForkLock lock;
  lock.lock();
  CHECK_FALSE(lock.try_lock());
  lock.lock();
  lock.unlock();
  CHECK(lock.is_held());
  std::atomic<bool> got{false};
  std::thread other([&] {
    lock.lock();
    got = true;
    lock.unlock();
  });
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  CHECK_FALSE(got.load());
  lock.unlock();
  other.join();
  CHECK(got.load());
  CHECK_FALSE(lock.is_held());
}

TEST_CASE("a lock lets one thread in at a time, and forgets none that waits") {
  os::ForkLock lock;
  constexpr int kTimes = 20'000;
  int count = 0;
  std::array<std::thread, 4> threads;
  for (std::thread& thread : threads) {
    thread = std::thread([&] {
      for (int i = 0; i < kTimes; ++i) {
        const std::lock_guard guard(lock);
        ++count;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(count == 4 * kTimes);
}

namespace {

std::atomic<int> nested_failures{0};

// As a fork handler of another library may: it forks too, and uses what we guard.
void fork_within() {
  static bool amid = false;
  if (std::exchange(amid, true)) return;
  CHECK(os::is_forking());
  const std::lock_guard guard(lock_at(0));
  nested_failures += in_child([] { return os::is_forking() ? 0 : 1; });
  amid = false;
}

}  // namespace

TEST_CASE("a fork within a fork") {
  for (const os::ForkHandlers& handlers :
       {os::ForkHandlers{.before = fork_within}, os::ForkHandlers{.in_parent = fork_within},
        os::ForkHandlers{.in_child = fork_within}}) {
    nested_failures = 0;
    os::at_fork(ForkRank::kReport, handlers);
    CHECK(in_child([] { return nested_failures.load() + first_taken(); }) == 0);
    CHECK(nested_failures == 0);
    CHECK_FALSE(os::is_forking());
  }
  os::at_fork(ForkRank::kReport, {});
}

// The sanitizers' own fork handlers wait for themselves there. Clang has no macros for them.
#if defined(__has_feature)
#define COREWISE_HAS(feature) __has_feature(feature)
#else
#define COREWISE_HAS(feature) 0
#endif
#if !defined(__SANITIZE_THREAD__) && !defined(__SANITIZE_ADDRESS__) && \
    !COREWISE_HAS(address_sanitizer) && !COREWISE_HAS(thread_sanitizer)
namespace {

void fork_at_signal(int) {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(0);
  int status = -1;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  nested_failures += status == 0 ? 0 : 1;
}

}  // namespace

TEST_CASE("a signal's handler that forks may come at any instruction of a fork") {
  nested_failures = 0;
  struct sigaction before{};
  struct sigaction action{};
  action.sa_handler = fork_at_signal;
  action.sa_flags = SA_RESTART;
  ::sigaction(SIGALRM, &action, &before);
  int wrong = 0;
  for (int i = 0; i < 400; ++i) {
    // Once: a fork that signals interrupt again and again never ends.
    const itimerval soon{{}, {0, 1 + i % 200}};
    ::setitimer(ITIMER_REAL, &soon, nullptr);
    const pid_t child = ::fork();
    if (child == 0) ::_exit(first_taken());
    int status = -1;
    while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    wrong += status == 0 ? 0 : 1;
  }
  const itimerval never{};
  ::setitimer(ITIMER_REAL, &never, nullptr);
  ::sigaction(SIGALRM, &before, nullptr);
  CHECK(wrong == 0);
  CHECK(nested_failures == 0);
  CHECK_FALSE(os::is_forking());
}
#endif
