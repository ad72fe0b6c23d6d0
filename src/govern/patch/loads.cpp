#include "loads.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#include "os/os.h"
#include "os/patch.h"
#include "os/uncancelled.h"
#include "pools/pool.h"

namespace corewise::govern::loads {
namespace {

constexpr std::size_t kStages = 2;
constinit std::array<std::atomic<bool (*)(bool)>, kStages> stages{};
constinit std::atomic<std::uint64_t> seen{0};  // adds + subs of the loader
constexpr std::size_t kMostSubstitutes = 32;
constinit std::array<GotRequest, kMostSubstitutes> substitutes{};
constinit std::atomic<std::size_t> substitute_count{0};

bool run_from(std::size_t first, bool asked) {
  for (std::size_t i = first; i < kStages; ++i) {
    auto* const run = stages[i].load(std::memory_order_acquire);
    if (run != nullptr && !run(asked) && !asked) return false;
  }
  return true;
}

void run_if_changed() {
  const os::Generation now = os::generation();
  const std::uint64_t stamp = now.adds + now.subs;
  if (seen.exchange(stamp, std::memory_order_relaxed) == stamp) return;
  // MKL, for one, calls dlsym with its lock held.
  const AmidCall amid;
  const os::Uncancelled uncancelled;
  const int before = errno;
  if (!run_from(0, false)) seen.store(0, std::memory_order_relaxed);
  errno = before;
}

using Dlsym = void*(void* handle, const char* name);

void* substitute_for(void* handle, const char* name, Dlsym* dlsym) {
  const std::size_t count = substitute_count.load(std::memory_order_acquire);
  for (std::size_t i = 0; i < count; ++i) {
    const GotRequest& each = substitutes[i];
    // For RTLD_NEXT this asks what follows this library, which stands before those that may have a
    // function of their own: the answer is that of the C library only if nobody has.
    if (std::strcmp(each.symbol, name) == 0 && dlsym(handle, name) == each.only) {
      return const_cast<void*>(each.replacement);
    }
  }
  return nullptr;
}

// The loader knows its caller by the return address: so this must end in a jump, not in a call.
void* hooked_dlsym(void* handle, const char* name, const Origin* origin) {
  run_if_changed();
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
  for (const GotRequest& request : requests) {
    const std::size_t count = substitute_count.load(std::memory_order_relaxed);
    const auto known = std::span(substitutes).first(count);
    if (count == kMostSubstitutes ||
        std::ranges::find(known, request.replacement, &GotRequest::replacement) != known.end()) {
      continue;
    }
    substitutes[count] = request;
    substitute_count.store(count + 1, std::memory_order_release);
  }
}

std::vector<GotRequest> got_requests() {
#if defined(__OPTIMIZE__)
  return {{"dlsym", reinterpret_cast<const void*>(&hooked_dlsym), 2}};
#else
  // Without optimisation it would be a call.
  static_cast<void>(&hooked_dlsym);
  return {};
#endif
}

}  // namespace corewise::govern::loads
