// Sees the main thread's CPUs change while nothing is loaded: a worker's initializer, psutil,
// taskset. The budget is computed elsewhere, under a lock; this bounds grants at once, until
// somebody does.
#pragma once

#include <atomic>
#include <cstdint>

#include "govern/ledger/ledger_layout.h"
#include "os/machine.h"

namespace corewise::govern {

// Any thread may ask; nothing allocates, locks or waits. Only one at a time may expect().
class MaskWatch {
 public:
  // The budget is that of `mask`. `may_bind`: a change may be an OpenMP runtime's that binds the
  // thread, and then bounds nobody.
  void expect(const os::MainThreadMask& mask, bool may_bind) noexcept;

  // Looks at the mask: one system call.
  void look() noexcept { saw(os::main_thread_mask()); }
  void saw(const os::MainThreadMask& mask) noexcept;

  // The most threads that are of use as the mask was when it was looked at.
  int most() const noexcept { return most_.load(std::memory_order_relaxed); }

  // Whether the budget is that of another mask.
  bool is_stale() const noexcept { return stale_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::uint64_t> expected_{0};  // a digest; 0: none
  std::atomic<bool> may_bind_{false};
  std::atomic<bool> stale_{false};
  std::atomic<int> most_{kMaxBudget};
};

}  // namespace corewise::govern
