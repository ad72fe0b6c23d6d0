#include "shared_pool.h"

#include <pthread.h>
#include <sched.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cfenv>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <limits>
#include <mutex>
#include <thread>
#include <utility>

#include "../os/os.h"
#include "../os/wait.h"

namespace corewise::govern::shared_pool {
namespace {

using Clock = std::chrono::steady_clock;

// About what it costs to wake a sleeping thread.
constexpr auto kSpin = std::chrono::microseconds(20);
// A yield that takes longer has let somebody else run.
constexpr auto kWanted = std::chrono::microseconds(3);

void relax() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// Spins until `done`, but no longer than kSpin, nor while somebody else wants the core.
template <class Done>
bool spin_until(const Done& done) {
  constexpr int kTurns = 32;
  for (int i = 0; i < kTurns; ++i) {
    if (done()) return true;
    relax();
  }
  auto now = Clock::now();
  for (const auto end = now + kSpin; now < end;) {
    sched_yield();
    if (done()) return true;
    const auto before = std::exchange(now, Clock::now());
    if (now - before > kWanted) return false;
    for (int i = 0; i < kTurns; ++i) {
      if (done()) return true;
      relax();
    }
    now = Clock::now();
  }
  return false;
}

// So many of something; several are taken in one step, or none.
class Tickets {
 public:
  explicit constexpr Tickets(int count) : free_(count) {}
  void take(int count) {
    int free = free_.load(std::memory_order_relaxed);
    for (;;) {
      if (free < count) {
        free = wait_for_more(free);
      } else if (free_.compare_exchange_weak(free, free - count, std::memory_order_acquire,
                                             std::memory_order_relaxed)) {
        return;
      }
    }
  }
  void give(int count) {
    free_.fetch_add(count);
    if (waiting_.load() != 0) os::wake(&free_, std::numeric_limits<int>::max());
  }
  void reset(int count) {
    free_.store(count);
    waiting_.store(0);
  }

 private:
  int wait_for_more(int seen) {
    waiting_.fetch_add(1);
    if (free_.load() == seen) os::wait(free_, seen);
    waiting_.fetch_sub(1);
    return free_.load(std::memory_order_relaxed);
  }
  std::atomic<int> free_;
  std::atomic<int> waiting_{0};
};

// How many jobs of a call still run. Lives on its caller's stack: whoever takes the last job off
// the count may use no more than its address after.
class Remaining {
 public:
  explicit Remaining(int jobs) : left_(jobs) {}
  void wait() {
    if (spin_until([&] { return left_.load(std::memory_order_acquire) == 0; })) return;
    int left = left_.fetch_or(kSleeper, std::memory_order_acquire) | kSleeper;
    while (left != kSleeper) {
      os::wait(left_, left);
      left = left_.load(std::memory_order_acquire);
    }
  }
  void one_done() {
    if (left_.fetch_sub(1, std::memory_order_acq_rel) == (kSleeper | 1)) os::wake(&left_, 1);
  }

 private:
  static constexpr int kSleeper = 1 << 30;
  std::atomic<int> left_;
};

struct Task {
  Job* job = nullptr;
  void* jobs = nullptr;
  int number = 0;
  int data = 0;
  Remaining* remaining = nullptr;
};

enum State : int { kAbsent, kSpinning, kAsleep, kTaken, kAssigned };

struct alignas(128) Worker {
  std::atomic<int> state{kAbsent};
  Task task;
};

// The numbers of one copy.
struct Copy {
  int numbers = 0;
  Tickets tickets{0};
  std::array<std::atomic<std::uint64_t>, kMostNumbers / 64> taken{};

  void reset() {
    tickets.reset(numbers);
    for (auto& word : taken) word.store(0);
  }
  // The highest that is free; the caller holds a ticket for it, so there is one.
  int take() {
    for (;;) {
      for (int number = numbers - 1; number >= 0; --number) {
        auto& word = taken[static_cast<std::size_t>(number) / 64];
        const std::uint64_t bit = std::uint64_t{1} << (static_cast<unsigned>(number) % 64U);
        if ((word.load(std::memory_order_relaxed) & bit) != 0) continue;
        if ((word.fetch_or(bit, std::memory_order_acquire) & bit) == 0) return number;
      }
    }
  }
  void give(int number) {
    const std::uint64_t bit = std::uint64_t{1} << (static_cast<unsigned>(number) % 64U);
    taken[static_cast<std::size_t>(number) / 64].fetch_and(~bit, std::memory_order_release);
  }
};

// A ticket for each running job, its caller's own included, so that there is always a free worker
// for whoever holds them, and nobody inside for whoever holds all.
constinit Tickets jobs_running{kMostNumbers};
constinit std::array<Worker, kMostNumbers> workers{};
constinit std::array<Copy, kMostCopies> copies{};

void wait_for_task(Worker& worker) {
  const auto assigned = [&] { return worker.state.load(std::memory_order_acquire) == kAssigned; };
  if (spin_until(assigned)) return;
  int spinning = kSpinning;
  if (worker.state.compare_exchange_strong(spinning, kAsleep)) {
    while (worker.state.load(std::memory_order_acquire) == kAsleep) os::wait(worker.state, kAsleep);
  }
  // Taken, and about to be assigned.
  while (!assigned()) sched_yield();
}

void* work(void* at) {
  Worker& worker = *static_cast<Worker*>(at);
  // What the creating thread had set for itself is not for the jobs of others.
  std::fesetenv(FE_DFL_ENV);
  for (;;) {
    wait_for_task(worker);
    const Task task = worker.task;
    task.job(task.number, task.jobs, task.data);
    // Idle before the call knows: its next one is to find this worker.
    worker.state.store(kSpinning, std::memory_order_release);
    task.remaining->one_done();
  }
}

void start(Worker& worker) {
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  pthread_t thread{};
  // Its call cannot go on with fewer, so it waits for others to end theirs.
  while (pthread_create(&thread, nullptr, work, &worker) != 0) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  pthread_detach(thread);
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

// The first that is free: the ones used last come first, and may still spin.
void assign(const Task& task) {
  for (;;) {
    for (Worker& worker : workers) {
      int state = worker.state.load(std::memory_order_relaxed);
      if (state == kTaken || state == kAssigned) continue;
      if (!worker.state.compare_exchange_strong(state, kTaken, std::memory_order_acquire)) continue;
      worker.task = task;
      worker.state.store(kAssigned, std::memory_order_release);
      if (state == kAsleep) os::wake(&worker.state, 1);
      if (state == kAbsent) start(worker);
      return;
    }
  }
}

void dispatch(Copy& copy, Job* job, int count, std::size_t size, void* jobs, int data) {
  jobs_running.take(count);
  copy.tickets.take(count);
  Remaining remaining(count - 1);
  std::array<int, kMostNumbers> numbers;
  const auto job_at = [&](int i) {
    return static_cast<char*>(jobs) + static_cast<std::size_t>(i) * size;
  };
  for (int i = 0; i < count; ++i) numbers[static_cast<std::size_t>(i)] = copy.take();
  for (int i = 1; i < count; ++i) {
    assign({job, job_at(i), numbers[static_cast<std::size_t>(i)], data, &remaining});
  }
  job(numbers[0], jobs, data);
  remaining.wait();
  for (int i = 0; i < count; ++i) copy.give(numbers[static_cast<std::size_t>(i)]);
  copy.tickets.give(count);
  jobs_running.give(count);
}

template <std::size_t kCopy>
void dispatch_of(int, Job* job, int count, std::size_t size, void* jobs, int data) {
  dispatch(copies[kCopy], job, count, size, jobs, data);
}

template <std::size_t... kCopy>
constexpr auto dispatch_table(std::index_sequence<kCopy...>) {
  return std::array<Dispatch*, sizeof...(kCopy)>{dispatch_of<kCopy>...};
}

// OpenBLAS drops its buffers when the process forks. This handler is registered after its own, so
// that it runs before, and no job is running when they go.
void before_fork() { jobs_running.take(kMostNumbers); }
void after_fork() { jobs_running.give(kMostNumbers); }
void in_child() {
  for (Worker& worker : workers) worker.state.store(kAbsent);
  for (Copy& copy : copies) copy.reset();
  jobs_running.reset(kMostNumbers);
}

}  // namespace

Dispatch* dispatch_for(int numbers) {
  static std::mutex lock;
  static bool registered = false;
  const std::lock_guard guard(lock);
  static std::size_t known = 0;
  if (known == kMostCopies || numbers < 1 || numbers > kMostNumbers) return nullptr;
  if (!std::exchange(registered, true)) os::at_fork(before_fork, after_fork, in_child);
  copies[known].numbers = numbers;
  copies[known].reset();
  return dispatch_table(std::make_index_sequence<kMostCopies>{})[known++];
}

int threads() {
  return static_cast<int>(std::ranges::count_if(
      workers, [](const Worker& worker) { return worker.state.load() != kAbsent; }));
}

}  // namespace corewise::govern::shared_pool
