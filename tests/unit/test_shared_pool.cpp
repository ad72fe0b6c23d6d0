// The pool that OpenBLAS copies share: jobs of a call wait for one another, so these do too.
#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

#include "govern/shared_pool.h"

namespace pool = corewise::govern::shared_pool;

namespace {

constexpr int kNumbers = 16;

// The numbers of one copy, as OpenBLAS uses them: one running job each.
struct Buffers {
  std::array<std::atomic<int>, kNumbers> users{};
  std::atomic<int> shared{0};
  std::atomic<int> outside{0};
};

// A call whose jobs end only when all have begun.
struct Gang {
  Buffers* buffers = nullptr;
  std::atomic<int> missing{0};
  std::atomic<int> done{0};
  pool::Dispatch* inner = nullptr;  // each job makes a call of its own
  Buffers* inner_buffers = nullptr;
};

struct Item {
  Gang* gang;
};

void run(pool::Dispatch* dispatch, Gang& gang, int count);

void job(int number, void* at, int data) {
  Gang& gang = *static_cast<Item*>(at)->gang;
  if (number < 0 || number >= kNumbers || data != 7) {
    ++gang.buffers->outside;
    return;
  }
  auto& users = gang.buffers->users[static_cast<std::size_t>(number)];
  if (users.fetch_add(1) != 0) ++gang.buffers->shared;
  --gang.missing;
  while (gang.missing.load() > 0) std::this_thread::yield();
  if (gang.inner != nullptr) {
    Gang nested{.buffers = gang.inner_buffers};
    run(gang.inner, nested, 2);
  }
  users.fetch_sub(1);
  ++gang.done;
}

void run(pool::Dispatch* dispatch, Gang& gang, int count) {
  gang.missing = count;
  gang.done = 0;
  std::vector<Item> items(static_cast<std::size_t>(count), Item{&gang});
  dispatch(1, job, count, sizeof(Item), items.data(), 7);
  CHECK(gang.done.load() == count);
}

// Places are for good, so all tests share two copies.
pool::Dispatch* first() {
  static pool::Dispatch* const dispatch = pool::dispatch_for(kNumbers);
  return dispatch;
}
pool::Dispatch* second() {
  static pool::Dispatch* const dispatch = pool::dispatch_for(kNumbers);
  return dispatch;
}

void check(const Buffers& buffers) {
  CHECK(buffers.shared.load() == 0);
  CHECK(buffers.outside.load() == 0);
}

}  // namespace

TEST_CASE("shared pool: all jobs of a call run at once, each with a number of its own") {
  REQUIRE((first() != nullptr));
  Buffers buffers;
  for (int count = 1; count <= kNumbers; ++count) {
    Gang gang{.buffers = &buffers};
    run(first(), gang, count);
  }
  check(buffers);
}

TEST_CASE("shared pool: the same threads serve call after call") {
  Buffers buffers;
  Gang gang{.buffers = &buffers};
  run(first(), gang, 4);
  const int threads = pool::threads();
  for (int i = 0; i < 200; ++i) run(i % 2 == 0 ? first() : second(), gang, 4);
  CHECK(pool::threads() == threads);
  check(buffers);
}

TEST_CASE("shared pool: a thread that slept is woken") {
  Buffers buffers;
  Gang gang{.buffers = &buffers};
  for (int i = 0; i < 20; ++i) {
    run(first(), gang, 3);
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  check(buffers);
}

TEST_CASE("shared pool: more callers than numbers, of two copies, wait and do not deadlock") {
  std::array<Buffers, 2> buffers;
  std::vector<std::thread> callers;
  for (int i = 0; i < 24; ++i) {
    callers.emplace_back([&, i] {
      for (int round = 0; round < 50; ++round) {
        Gang gang{.buffers = &buffers[static_cast<std::size_t>(i % 2)]};
        run(i % 2 == 0 ? first() : second(), gang, 1 + (i + round) % kNumbers);
      }
    });
  }
  for (std::thread& caller : callers) caller.join();
  check(buffers[0]);
  check(buffers[1]);
}

TEST_CASE("shared pool: jobs may call the other copy") {
  Buffers outer;
  Buffers inner;
  for (int round = 0; round < 20; ++round) {
    Gang gang{.buffers = &outer, .inner = second(), .inner_buffers = &inner};
    run(first(), gang, 4);
  }
  check(outer);
  check(inner);
}

// ThreadSanitizer does not follow threads that are started in the child of a process with threads.
#if !defined(__SANITIZE_THREAD__)
TEST_CASE("shared pool: a child starts with none, while the parent's callers go on") {
  Buffers buffers;
  std::atomic<bool> stop{false};
  std::thread caller([&] {
    while (!stop) {
      Gang gang{.buffers = &buffers};
      run(first(), gang, 3);
    }
  });
  for (int i = 0; i < 20; ++i) {
    const pid_t child = fork();
    if (child == 0) {
      if (pool::threads() != 0) _exit(1);
      Buffers own;
      Gang gang{.buffers = &own};
      run(first(), gang, kNumbers);
      _exit(own.shared.load() == 0 && pool::threads() == kNumbers - 1 ? 0 : 2);
    }
    int status = 0;
    waitpid(child, &status, 0);
    CHECK(status == 0);
  }
  stop = true;
  caller.join();
  check(buffers);
}
#endif

TEST_CASE("shared pool: what it cannot serve it refuses") {
  CHECK((pool::dispatch_for(0) == nullptr));
  CHECK((pool::dispatch_for(pool::kMostNumbers + 1) == nullptr));
}
