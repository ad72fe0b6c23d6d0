// Modules whose code hooks must tell from other code: a lookup takes no lock.
#pragma once

#include <cstdint>

#include "base/append_only.h"
#include "os/os.h"

namespace corewise::govern {

class CodeRange {
 public:
  constexpr CodeRange() = default;
  explicit CodeRange(const os::LoadedModule& module);
  bool holds(std::uintptr_t code) const { return code >= begin_ && code < end_; }
  bool operator==(const CodeRange&) const = default;

 private:
  std::uintptr_t begin_ = 0;
  std::uintptr_t end_ = 0;
};

// Filled one module at a time, never emptied.
class CodeRanges {
 public:
  // False if there is no room. Adding twice changes nothing.
  bool add(const os::LoadedModule& module);
  bool holds(std::uintptr_t code) const;

 private:
  AppendOnly<CodeRange, 1024> ranges_;
};

}  // namespace corewise::govern
