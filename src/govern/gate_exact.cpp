#include "gate_exact.h"

#include <algorithm>
#include <array>
#include <atomic>

namespace corewise::govern::exact {
namespace {

struct Range {
  std::uintptr_t begin = 0;
  std::uintptr_t end = 0;
};

// What is below `count` never changes.
constinit std::array<Range, 32> ranges;
constinit std::atomic<std::size_t> count{0};

}  // namespace

bool add(const os::LoadedModule& module) {
  Range range{~std::uintptr_t{0}, 0};
  for (const os::Segment& segment : module.segments) {
    range.begin = std::min(range.begin, segment.begin);
    range.end = std::max(range.end, segment.end);
  }
  if (holds(range.begin)) return true;
  const std::size_t at = count.load(std::memory_order_relaxed);
  if (at == ranges.size()) return false;
  ranges[at] = range;
  count.store(at + 1, std::memory_order_release);
  return true;
}

bool holds(std::uintptr_t code) {
  const std::size_t size = count.load(std::memory_order_acquire);
  for (std::size_t i = 0; i < size; ++i) {
    if (code >= ranges[i].begin && code < ranges[i].end) return true;
  }
  return false;
}

}  // namespace corewise::govern::exact
