// Exchanges a word of memory: installing or removing a hook comes down to that (hook.h). And the
// pages of code that hooks jump to, which live for good.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>

#include "base/error.h"
#include "code.h"
#include "os/fork.h"
#include "os/patch.h"

namespace corewise::govern {

// A word of memory, before and after our change.
struct Patch {
  std::uintptr_t at = 0;  // a multiple of width
  std::size_t width = 8;
  bool relro = false;  // the loader makes it read-only once its module is bound
  code::CodeWord before;
  code::CodeWord after;
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

// Held while hooks are installed or removed.
os::ForkLock& hook_lock();

// The rights of pages, as the thread's KeptMappings saw them or as they are now.
class Mappings {
 public:
  Mappings();
  const std::optional<Error>& error() const { return error_; }
  // A mapping that was missing then is looked up again: it may have been loaded since.
  std::optional<os::Rights> rights(std::uintptr_t at, std::size_t size);
  // As they are now.
  std::optional<os::Rights> rights_now(std::uintptr_t at, std::size_t size);

 private:
  void reread();
  std::shared_ptr<const os::AddressSpace> space_;
  std::optional<Error> error_;
  bool fresh_ = false;
};

// For callers that hold the lock, and have read the mappings.
std::optional<Error> exchange_locked(const Patch& patch, Way way, Mappings& mappings);

// The code for a given address; called for each page that is tried.
using CodeAt = std::function<Result<code::CodeBytes>(std::uintptr_t at)>;

// A page with this code, within `reach` of `near` (0: anywhere). The same code for the same `near`
// gets the same page.
Result<std::uintptr_t> place_code(std::uintptr_t near, std::uintptr_t reach, const CodeAt& code_at);

}  // namespace corewise::govern
