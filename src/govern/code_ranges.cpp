#include "code_ranges.h"

#include <algorithm>

namespace corewise::govern {

bool CodeRanges::add(const os::LoadedModule& module) {
  Range range{~std::uintptr_t{0}, 0};
  for (const os::Segment& segment : module.segments) {
    range.begin = std::min(range.begin, segment.begin);
    range.end = std::max(range.end, segment.end);
  }
  if (holds(range.begin)) return true;
  const std::size_t at = count_.load(std::memory_order_relaxed);
  if (at == ranges_.size()) return false;
  ranges_[at] = range;
  count_.store(at + 1, std::memory_order_release);
  return true;
}

bool CodeRanges::holds(std::uintptr_t code) const {
  const std::size_t size = count_.load(std::memory_order_acquire);
  for (std::size_t i = 0; i < size; ++i) {
    if (code >= ranges_[i].begin && code < ranges_[i].end) return true;
  }
  return false;
}

}  // namespace corewise::govern
