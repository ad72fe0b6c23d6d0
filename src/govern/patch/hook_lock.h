// What the parts of hook.h share: their lock, and pages of code that live for good.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <optional>

#include "base/error.h"
#include "exchange.h"
#include "os/patch.h"

namespace corewise::govern {

std::mutex& hook_lock();

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

// exchange() for callers that hold the lock, and have read the mappings.
std::optional<Error> exchange_locked(const Patch& patch, Way way, Mappings& mappings);

// The code for a given address; called for each page that is tried.
using CodeAt = std::function<Result<code::Bytes>(std::uintptr_t at)>;

// A page with this code, within `reach` of `near` (0: anywhere). The same code for the same `near`
// gets the same page.
Result<std::uintptr_t> place_code(std::uintptr_t near, std::uintptr_t reach, const CodeAt& code_at);

}  // namespace corewise::govern
