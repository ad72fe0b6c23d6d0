// Buffers for threads that come and go, and for systems with little memory.
#include "govern/openblas_buffers/buffers.h"

#include <doctest/doctest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <barrier>
#include <cstdio>
#include <cstring>
#include <mutex>
#include <set>
#include <thread>
#include <vector>

namespace buffers = corewise::govern::buffers;
using buffers::Buffer;
using buffers::Inside;

namespace {

constexpr std::size_t kSize = std::size_t{4} << 20U;
const int user = 0;

buffers::Shelf& shelf() {
  REQUIRE(buffers::start());
  return *buffers::shelf_for(kSize);
}

Buffer* take() { return Inside().take(shelf(), &user); }
void give(Buffer* buffer) { Inside().give(*buffer); }

long resident() {
  long pages = 0;
  long unused = 0;
  FILE* file = std::fopen("/proc/self/statm", "r");
  if (std::fscanf(file, "%ld %ld", &unused, &pages) != 2) pages = 0;
  std::fclose(file);
  return pages * sysconf(_SC_PAGESIZE);
}

}  // namespace

TEST_CASE("a thread gets its own buffer again") {
  Buffer* first = take();
  REQUIRE(first != nullptr);
  CHECK(reinterpret_cast<std::uintptr_t>(first->address) % 4096 == 0);
  std::memset(first->address, 1, kSize);
  CHECK(Inside().find(first->address) == first);
  CHECK(Inside().find(first->address + 64) == nullptr);
  CHECK(Inside().find(&user) == nullptr);
  Buffer* second = take();
  CHECK(second != first);
  give(second);
  give(first);
  give(first);  // twice
  const auto taken = buffers::usage(&user).taken;
  CHECK(taken == 0);
  CHECK((take() == second || take() == first));
  give(first);
  give(second);
}

TEST_CASE("threads at once each get another, and what ended threads leave is used again") {
  const std::size_t before = buffers::usage(nullptr).buffers;
  for (int round = 0; round < 20; ++round) {
    std::barrier together(100);
    std::mutex lock;
    std::set<void*> distinct;
    std::vector<std::thread> threads;
    for (int i = 0; i < 100; ++i) {
      threads.emplace_back([&, i] {
        Buffer* mine = take();
        {
          const std::lock_guard hold(lock);
          distinct.insert(mine->address);
        }
        std::memset(mine->address, i, 4096);
        together.arrive_and_wait();
        CHECK(static_cast<int>(mine->address[100]) == i);
        give(mine);
      });
    }
    for (auto& thread : threads) thread.join();
    CHECK(distinct.size() == 100);
  }
  CHECK(buffers::usage(nullptr).buffers <= before + 100);
}

TEST_CASE("given back by another thread") {
  for (int i = 0; i < 1000; ++i) {
    Buffer* mine = take();
    std::thread([&] { give(Inside().find(mine->address)); }).join();
  }
  CHECK(buffers::usage(&user).taken == 0);
  CHECK(buffers::usage(nullptr).buffers < 400);
}

TEST_CASE("idle memory is bounded, and goes back on demand") {
  buffers::set_limit(8);
  [[maybe_unused]] const long before = resident();
  {
    std::barrier together(64);
    std::vector<std::thread> threads;
    for (int i = 0; i < 64; ++i) {
      threads.emplace_back([&] {
        Buffer* mine = take();
        std::memset(mine->address, 1, kSize);
        together.arrive_and_wait();
        give(mine);
      });
    }
    for (auto& thread : threads) thread.join();
  }
  // Some more than eight may lie there from before the limit was lowered.
  buffers::trim();
  CHECK(buffers::usage(nullptr).listed == 0);
#if !defined(__SANITIZE_THREAD__)  // its own memory grows with what was touched
  CHECK(resident() - before < static_cast<long>(10 * kSize));
#endif
  buffers::set_limit(64);
}

TEST_CASE("a storm of takes and gives keeps every buffer with one owner") {
  std::atomic<long> wrong = 0;
  std::vector<std::thread> threads;
  buffers::set_limit(3);  // most threads may keep nothing: the shared lists do the work
  for (int i = 0; i < 16; ++i) {
    threads.emplace_back([&, i] {
      for (int k = 0; k < 20000; ++k) {
        Buffer* mine = take();
        auto* tag = reinterpret_cast<std::atomic<int>*>(mine->address);
        tag->store(i);
        if (k % 8 == 0) std::this_thread::yield();
        if (tag->load() != i) ++wrong;
        give(mine);
      }
    });
  }
  for (auto& thread : threads) thread.join();
  buffers::set_limit(64);
  CHECK(wrong == 0);
  CHECK(buffers::usage(&user).taken == 0);
}

TEST_CASE("a child of a busy process has what its parent's threads had") {
  std::barrier taken(5);
  std::barrier done(5);
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      Buffer* mine = take();
      taken.arrive_and_wait();
      done.arrive_and_wait();
      give(mine);
    });
  }
  taken.arrive_and_wait();
  Buffer* own = take();
  const pid_t child = fork();
  if (child == 0) {
    const bool mine_only = buffers::usage(&user).taken == 1;
    give(own);
    _exit(mine_only && buffers::usage(&user).taken == 0 && take() != nullptr ? 0 : 1);
  }
  int status = 0;
  waitpid(child, &status, 0);
  CHECK(status == 0);
  CHECK(buffers::usage(&user).taken == 5);
  done.arrive_and_wait();
  for (auto& thread : threads) thread.join();
  give(own);
  CHECK(buffers::usage(&user).taken == 0);
}

TEST_CASE("no address space left: null, and what comes back is handed out") {
  const pid_t child = fork();
  if (child == 0) {
    long pages = 0;
    FILE* file = std::fopen("/proc/self/statm", "r");
    if (std::fscanf(file, "%ld", &pages) != 1) _exit(2);
    const rlim_t now = static_cast<rlim_t>(pages) * static_cast<rlim_t>(sysconf(_SC_PAGESIZE));
    const rlimit limit{now + 20 * kSize, now + 20 * kSize};
    setrlimit(RLIMIT_AS, &limit);
    buffers::Shelf* large = buffers::shelf_for(3 * kSize);
    std::vector<Buffer*> all;
    while (Buffer* buffer = Inside().take(*large, &user)) all.push_back(buffer);
    const bool some = all.size() >= 4 && all.size() < 20;
    Inside().give(*all.back());
    _exit(some && Inside().take(*large, &user) != nullptr ? 0 : 1);
  }
  int status = 0;
  waitpid(child, &status, 0);
  CHECK(status == 0);
}
