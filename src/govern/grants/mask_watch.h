// Sees the main thread's CPUs change while nothing is loaded: a worker's initializer, psutil,
// taskset. The budget is computed elsewhere, under a lock; until then this bounds grants at once.
#pragma once

#include <atomic>
#include <cstdint>

#include "govern/ledger/ledger_layout.h"
#include "os/machine.h"

namespace corewise::govern {

// Any thread may ask; nothing allocates, locks or waits. One thread at a time may call expect().
class MaskWatch {
 public:
  // The budget was computed for `mask`. `may_bind`: a change may come from an OpenMP runtime that
  // binds the thread, and then bounds nothing.
  void expect(const os::MainThreadMask& mask, bool may_bind) noexcept;

  // Reads the mask: one system call.
  void reread() noexcept { saw(os::main_thread_mask()); }
  void saw(const os::MainThreadMask& mask) noexcept;

  // The most threads that are of use, by the mask as last read.
  int most() const noexcept { return most_.load(std::memory_order_relaxed); }

  // Whether the budget was computed for another mask.
  bool is_stale() const noexcept { return stale_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::uint64_t> expected_{0};  // a digest; 0: none
  std::atomic<bool> may_bind_{false};
  std::atomic<bool> stale_{false};
  std::atomic<int> most_{kMaxBudget};
};

}  // namespace corewise::govern
