#include "filters.h"

#include <sys/prctl.h>
#include <unistd.h>

#include "loads.h"
#include "os/confined.h"
#include "os/patch.h"

namespace corewise::govern::filters {
namespace {

// Calls install(), and says that there is a filter if the kernel agreed.
template <class Install>
auto noting(Install install) noexcept {
  const os::FilterToCome filter;
  const auto result = install();
  if (result == 0) filter.is_installed();
  return result;
}

int hooked_prctl(int option, unsigned long second, unsigned long third, unsigned long fourth,
                 unsigned long fifth) {
  const auto call = [=] { return ::prctl(option, second, third, fourth, fifth); };
  return option == PR_SET_SECCOMP ? noting(call) : call();
}

// All others must end in a jump: a child of vfork returns through this frame, and its parent too.
long hooked_syscall(long number, long first, long second, long third, long fourth, long fifth,
                    long sixth) {
  if (os::installs_filter(number, first)) {
    return noting([=] { return ::syscall(number, first, second, third); });
  }
  return ::syscall(number, first, second, third, fourth, fifth, sixth);
}

}  // namespace

std::vector<GotRequest> got_requests() {
  auto* const prctl = reinterpret_cast<void*>(&hooked_prctl);
  auto* const syscall = reinterpret_cast<void*>(&hooked_syscall);
  loads::substitute({{{"prctl", os::global_symbol("prctl"), prctl},
                      {"syscall", os::global_symbol("syscall"), syscall}}});
  return {{"prctl", prctl}, {"syscall", syscall}};
}

}  // namespace corewise::govern::filters
