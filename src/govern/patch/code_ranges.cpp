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
  if (std::ranges::find(ranges_.all(), range) != ranges_.all().end()) return true;
  CodeRange* const next = ranges_.next();
  if (next == nullptr) return false;
  *next = range;
  ranges_.append();
  return true;
}

bool CodeRanges::holds(std::uintptr_t code) const {
  return std::ranges::any_of(ranges_.all(),
                             [&](const CodeRange& range) { return range.holds(code); });
}

}  // namespace corewise::govern
