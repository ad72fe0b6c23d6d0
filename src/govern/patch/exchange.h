// Exchanges a word of memory: installing or removing a hook comes down to that (hook.h).
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

// A word of memory, before and after our change.
struct Patch {
  std::uintptr_t at = 0;  // a multiple of width
  std::size_t width = 8;
  bool relro = false;  // the loader makes it read-only once its module is bound
  code::Word before;
  code::Word after;
};

enum class Way { install, remove };

// While one lives, its thread reads the mappings of the process once, not for each word that it
// exchanges: with a thousand of them, a read takes 2 ms.
class KeptMappings {
 public:
  KeptMappings();
  KeptMappings(const KeptMappings&) = delete;
  KeptMappings& operator=(const KeptMappings&) = delete;
  ~KeptMappings();

 private:
  KeptMappings* outer_;
  std::shared_ptr<const os::AddressSpace> space_;
  friend class Mappings;
};

// Exchanges the word. An error completes the sentence "X is left alone: ...".
std::optional<Error> exchange(const Patch& patch, Way way);

}  // namespace corewise::govern
