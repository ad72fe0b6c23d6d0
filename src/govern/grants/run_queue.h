// How many runnable threads the ledger does not know of: other people's work, and the serial parts
// of the processes that it does know. Beside them, a team as wide as the budget waits at its
// barrier for a thread that has no CPU: a scheduler's tick (1 to 4 ms) for a region of
// microseconds.
//
// A hint, and a cautious one. We ask the kernel every few milliseconds at most, so only a process
// that starts many regions a second learns anything: a long region always finds the answers too
// old, and gets what the ledger has. One answer means nothing, several in a row do.
//
// Source: the fourth field of /proc/loadavg, "runnable scheduling entities" (proc(5)), which the
// kernel counts at that instant over all CPUs of the machine.
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>
#include <string_view>

namespace corewise::govern {

// Apart for tests: "0.20 0.18 0.12 3/80 11206": 3.
std::optional<int> runnable_in(std::string_view loadavg);

// The last few answers. Any thread may ask; nothing here allocates, locks or waits.
class RunQueue {
 public:
  static constexpr std::uint64_t kEveryMs = 4;
  static constexpr std::uint64_t kFreshMs = 50;
  static constexpr unsigned kReadings = 4;

  // Whether it is time for another reading; true for one caller alone.
  bool due(std::uint64_t now_ms) noexcept {
    std::uint64_t due = due_ms_.load(std::memory_order_relaxed);
    return now_ms >= due && due_ms_.compare_exchange_strong(due, now_ms + kEveryMs);
  }

  void note(std::uint64_t now_ms, int others) noexcept;

  // Others that were runnable at all readings but one, so that a thread which sleeps for a moment
  // does not count as gone; 0 while the readings are few or old.
  int others(std::uint64_t now_ms) const noexcept;

 private:
  std::atomic<std::uint64_t> due_ms_{0};
  std::atomic<std::uint64_t> last_ms_{0};
  std::atomic<std::uint64_t> readings_{0};  // 16 bits each, the newest lowest
};

// At least half the budget, whatever else runs: the scheduler gives each its share.
constexpr int beside(int others, int cpus, int budget) {
  const int fair = (budget + 1) / 2;
  return cpus - others > fair ? cpus - others : fair;
}

// What one process leaves to others at each of its regions. Independent of where the numbers come
// from, so that bench/simulate runs the same code.
class Neighbours {
 public:
  // The most threads for the next region. `granted` tells how many all processes were granted,
  // `runnable` what runnable_now() does; they are called only when it is time for another reading.
  template <class Granted, class Runnable>
  int left(std::uint64_t now_ms, int cpus, int budget, Granted granted,
           Runnable runnable) noexcept {
    if (queue_.due(now_ms)) {
      // The caller is runnable too, and the workers of the last team may still spin.
      const int ours = granted() + last_team_.load(std::memory_order_relaxed);
      if (const std::optional<int> all = runnable()) queue_.note(now_ms, *all - ours);
    }
    return beside(queue_.others(now_ms), cpus, budget);
  }

  // The region got this many.
  void got(int threads) noexcept {
    if (last_team_.load(std::memory_order_relaxed) == threads) return;
    last_team_.store(threads, std::memory_order_relaxed);
  }

 private:
  std::atomic<int> last_team_{1};
  RunQueue queue_;
};

// Call it before runnable_now() is needed: hooks open the file only if the program has closed it,
// since the kernel may kill a confined program for opening one.
void keep_loadavg_open() noexcept;

// Threads that are runnable on this machine now; nothing where the kernel does not tell. Leaves
// errno alone. Not for a program that is_confined() (os/confined.h).
std::optional<int> runnable_now() noexcept;

}  // namespace corewise::govern
