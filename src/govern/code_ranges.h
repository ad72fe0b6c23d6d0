// Modules whose code is to be told from others', in hooks: looking takes no lock.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "../os/os.h"

namespace corewise::govern {

// Filled one module at a time, never emptied.
class CodeRanges {
 public:
  // False if there is no room. Adding twice changes nothing.
  bool add(const os::LoadedModule& module);
  bool holds(std::uintptr_t code) const;

 private:
  struct Range {
    std::uintptr_t begin = 0;
    std::uintptr_t end = 0;
  };
  // What is below the count never changes.
  std::array<Range, 32> ranges_{};
  std::atomic<std::size_t> count_{0};
};

}  // namespace corewise::govern
