#include "loads.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "base/append_only.h"
#include "base/keep_errno.h"
#include "os/fork.h"
#include "os/os.h"
#include "os/patch.h"
#include "os/uncancelled.h"
#include "pools/pool.h"

namespace corewise::govern::loads {
namespace {

constexpr std::size_t kStages = 2;
constinit std::array<std::atomic<bool (*)(bool)>, kStages> stages{};
constinit std::atomic<std::uint64_t> seen{0};  // adds + subs of the loader
constinit AppendOnly<GotRequest, 64> substitutes;
constinit bool is_first = false;  // of all libraries, as LD_PRELOAD has it

bool run_from(std::size_t first, bool asked) {
  for (std::size_t i = first; i < kStages; ++i) {
    auto* const run = stages[i].load(std::memory_order_acquire);
    if (run != nullptr && !run(asked) && !asked) return false;
  }
  return true;
}

// Not inside a fork, whose locks we would wait for; nor in a handler of a signal that came inside
// the loader, nor beside a thread that is inside it: the next call catches up.
void run_if_changed() {
  if (os::is_forking() || os::is_loader_busy()) return;
  const os::Generation now = os::generation();
  const std::uint64_t stamp = now.adds + now.subs;
  if (seen.exchange(stamp, std::memory_order_relaxed) == stamp) return;
  // MKL, for one, calls dlsym with its lock held.
  const AmidCall amid;
  const os::Uncancelled uncancelled;
  const KeepErrno keep;
  if (!run_from(0, false)) seen.store(0, std::memory_order_relaxed);
}

using Dlsym = void*(void* handle, const char* name);

void* substitute_for(void* handle, const char* name, Dlsym* dlsym) {
  for (const GotRequest& each : substitutes.all()) {
    // With RTLD_NEXT we are told what follows this library, and not the caller: if all follow it,
    // the C library's function is that of the caller too.
    if (std::strcmp(each.symbol, name) == 0 && (is_first || !os::means_next(handle)) &&
        dlsym(handle, name) == each.only) {
      return const_cast<void*>(each.replacement);
    }
  }
  return nullptr;
}

// The loader knows its caller by the return address: so this must end in a jump, not in a call.
void* hooked_dlsym(void* handle, const char* name, const Origin* origin) {
  // Functions that stand in for the C library's ask so for what they hide, malloc and open among
  // them: what we call would come back to them.
  if (!os::means_next(handle)) run_if_changed();
  auto* const dlsym = reinterpret_cast<Dlsym*>(origin->function);
  if (void* const substitute = substitute_for(handle, name, dlsym)) return substitute;
  return dlsym(handle, name);
}

}  // namespace

void set(Stage stage, bool (*run)(bool asked)) {
  seen.store(0);
  stages[static_cast<std::size_t>(stage)].store(run, std::memory_order_release);
}

void run_all() { run_from(0, true); }

void run_after(Stage stage) { run_from(static_cast<std::size_t>(stage) + 1, false); }

void substitute(const std::vector<GotRequest>& requests) {
  static const bool kFirst = os::is_first_library(reinterpret_cast<std::uintptr_t>(&substitute));
  is_first = kFirst;
  for (const GotRequest& request : requests) {
    const bool is_known = std::ranges::any_of(substitutes.all(), [&](const GotRequest& known) {
      return std::strcmp(known.symbol, request.symbol) == 0;
    });
    GotRequest* const next = substitutes.next();
    if (is_known || next == nullptr) continue;
    *next = request;
    substitutes.append();
  }
}

std::vector<GotRequest> got_requests() {
#if defined(__OPTIMIZE__)
  return {got_request("dlsym", hooked_dlsym, 2)};
#else
  // Without optimisation it would be a call.
  static_cast<void>(hooked_dlsym);
  return {};
#endif
}

}  // namespace corewise::govern::loads
