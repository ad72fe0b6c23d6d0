// A word of memory exchanged for another: what installing and removing a hook comes to (hook.h).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>

#include "base/error.h"
#include "code.h"

namespace corewise::os {
class AddressSpace;
}

namespace corewise::govern {

// A word of memory, as it was and as we make it.
struct Patch {
  std::uintptr_t at = 0;  // a multiple of width
  std::size_t width = 8;
  code::Word before;
  code::Word after;
};

enum class Way { install, remove };

// While one lives, its thread looks at the mappings of the process once, not for each word that it
// exchanges: where there are a thousand, a look takes 2 ms.
class OneLook {
 public:
  OneLook();
  OneLook(const OneLook&) = delete;
  OneLook& operator=(const OneLook&) = delete;
  ~OneLook();

 private:
  OneLook* outer_;
  std::shared_ptr<const os::AddressSpace> space_;
  friend class Mappings;
};

// Exchanges the word. What it says on failure completes the sentence "X is left alone: ...".
std::optional<Error> exchange(const Patch& patch, Way way);

}  // namespace corewise::govern
