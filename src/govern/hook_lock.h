// What the parts of hook.h share: their lock, and pages of code that live for good.
#pragma once

#include <functional>
#include <mutex>

#include "../os/patch.h"
#include "hook.h"

namespace corewise::govern {

std::mutex& hook_lock();

// exchange() for callers that hold the lock, and know the rights of all pages.
std::optional<Error> exchange_locked(const Patch& patch, Way way, const os::AddressSpace& space);

// The code for a given address; called for each page that is tried.
using CodeAt = std::function<Result<code::Bytes>(std::uintptr_t at)>;

// A page with this code, within `reach` of `near` (0: anywhere). The same code for the same `near`
// is the same page.
Result<std::uintptr_t> place_code(std::uintptr_t near, std::uintptr_t reach, const CodeAt& code_at);

}  // namespace corewise::govern
