#include "code_ranges.h"

#include <algorithm>

namespace corewise::govern {

CodeRange::CodeRange(const os::LoadedModule& module) : begin_(~std::uintptr_t{0}) {
  for (const os::Segment& segment : module.segments) {
    begin_ = std::min(begin_, segment.begin);
    end_ = std::max(end_, segment.end);
  }
}

bool CodeRanges::add(const os::LoadedModule& module) {
  const CodeRange range(module);
  const std::size_t at = count_.load(std::memory_order_relaxed);
  if (std::find(ranges_.begin(), ranges_.begin() + at, range) != ranges_.begin() + at) return true;
  if (at == ranges_.size()) return false;
  ranges_[at] = range;
  count_.store(at + 1, std::memory_order_release);
  return true;
}

bool CodeRanges::holds(std::uintptr_t code) const {
  const std::size_t size = count_.load(std::memory_order_acquire);
  for (std::size_t i = 0; i < size; ++i) {
    if (ranges_[i].holds(code)) return true;
  }
  return false;
}

}  // namespace corewise::govern
