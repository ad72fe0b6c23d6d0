#include "mask_watch.h"

#include <algorithm>

namespace corewise::govern {
namespace {

std::uint64_t digest(const os::MainThreadMask& mask) noexcept {
  std::uint64_t sum = 0x9e3779b97f4a7c15U;
  for (const std::uint64_t word : mask.words) {
    sum = (sum ^ word) * 0xff51afd7ed558ccdU;
    sum ^= sum >> 32;
  }
  return sum | 1;
}

}  // namespace

void MaskWatch::expect(const os::MainThreadMask& mask, bool may_bind) noexcept {
  may_bind_.store(may_bind, std::memory_order_relaxed);
  expected_.store(mask.known ? digest(mask) : 0, std::memory_order_relaxed);
  stale_.store(false, std::memory_order_relaxed);
  most_.store(kMaxBudget, std::memory_order_relaxed);
}

void MaskWatch::saw(const os::MainThreadMask& mask) noexcept {
  const std::uint64_t expected = expected_.load(std::memory_order_relaxed);
  if (expected == 0 || !mask.known) return;
  const bool changed = digest(mask) != expected;
  const bool bounds = changed && !may_bind_.load(std::memory_order_relaxed);
  most_.store(bounds ? std::max(1, mask.count()) : kMaxBudget, std::memory_order_relaxed);
  stale_.store(changed, std::memory_order_relaxed);
}

}  // namespace corewise::govern
