#include "filters.h"

#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>

#include "loads.h"
#include "os/confined.h"
#include "os/patch.h"

#ifndef SECCOMP_FILTER_FLAG_NEW_LISTENER
#define SECCOMP_FILTER_FLAG_NEW_LISTENER (1UL << 3)
#endif

namespace corewise::govern::filters {
namespace {

// Calls install(), and says that there is a filter if the kernel agreed. Its answer is then 0, or
// the descriptor of a listener if one was asked for. Another number above 0 is a refusal: it names
// the thread that cannot have the filter.
template <class Install>
auto noting(bool has_listener, Install install) noexcept {
  const os::FilterToCome filter;
  const auto result = install();
  if (result == 0 || (has_listener && result > 0)) filter.is_installed();
  return result;
}

decltype(&::prctl) own_prctl = nullptr;
decltype(&::syscall) own_syscall = nullptr;

int hooked_prctl(int option, unsigned long second, unsigned long third, unsigned long fourth,
                 unsigned long fifth) {
  const auto call = [=] { return own_prctl(option, second, third, fourth, fifth); };
  return option == PR_SET_SECCOMP ? noting(false, call) : call();
}

constinit std::atomic<SystemCall*> starter{nullptr};
constinit std::atomic<SystemCall*> enterer{nullptr};

const std::atomic<SystemCall*>* handed(long number) noexcept {
  if (number == SYS_execve || number == SYS_execveat) return &starter;
  if (number == SYS_unshare || number == SYS_setns) return &enterer;
  return nullptr;
}

// All others must end in a jump: a child of vfork returns through this frame, and its parent too.
long hooked_syscall(long number, long first, long second, long third, long fourth, long fifth,
                    long sixth) {
  if (os::installs_filter(number, first)) {
    const auto flags = static_cast<std::uint64_t>(second);
    const bool has_listener = (flags & SECCOMP_FILTER_FLAG_NEW_LISTENER) != 0;
    return noting(has_listener, [=] { return own_syscall(number, first, second, third); });
  }
  if (const auto* const to = handed(number)) {
    if (auto* const call = to->load(std::memory_order_relaxed)) {
      return call(number, {first, second, third, fourth, fifth});
    }
  }
  return own_syscall(number, first, second, third, fourth, fifth, sixth);
}

}  // namespace

void hand_starts_to(SystemCall* start) { starter.store(start); }

void hand_entries_to(SystemCall* enter) { enterer.store(enter); }

std::vector<GotRequest> got_requests() {
  static const auto* const kAll = [] {
    auto* const all = new std::vector<GotRequest>;
    request_c_library(*all, "prctl", hooked_prctl, &own_prctl);
#if defined(__OPTIMIZE__)
    request_c_library(*all, "syscall", hooked_syscall, &own_syscall);
#else
    // Without optimisation it would end in a call.
    static_cast<void>(hooked_syscall);
#endif
    loads::substitute(*all);
    return all;
  }();
  return *kAll;
}

void are_seen(bool everywhere) noexcept {
  os::see_filters(everywhere && own_prctl != nullptr && own_syscall != nullptr);
}

}  // namespace corewise::govern::filters
