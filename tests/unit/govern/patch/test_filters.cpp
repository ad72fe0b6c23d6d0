// Filters that the program installs, seen by the calls that install them.
#include <doctest/doctest.h>

#include "gate_fixture.h"
#include "govern/patch/filters.h"
#include "os/confined.h"
#include "system_call_filter.h"

using namespace corewise;

namespace {

constexpr unsigned long kListens = SECCOMP_FILTER_FLAG_NEW_LISTENER;

// In a child: 0 if the filter is noticed, 1 if not, 2 if the kernel refused it.
int after_filter(unsigned long flags) {
  auto* const call =
      test::replacement_in<test::Syscall>(govern::filters::got_requests(), "syscall");
  os::watch_confinement();
  return test::in_child([&] {
    if (test::refuse(SYS_acct, flags, call) < 0) return 2;
    return os::is_known_confined() ? 0 : 1;
  });
}

// Installs as refuse() wants it, by the older system call.
test::Syscall* hooked_syscall = nullptr;
long by_prctl(long, long, long, long program, long, long, long) {
  return hooked_syscall(SYS_prctl, PR_SET_SECCOMP, SECCOMP_MODE_FILTER, program, 0, 0, 0);
}

}  // namespace

TEST_CASE("filters: one that the program installs is noticed") { CHECK(after_filter(0) == 0); }

TEST_CASE("filters: so is one that has a listener") { CHECK(after_filter(kListens) == 0); }

TEST_CASE("filters: so is one by the system call of prctl()") {
  hooked_syscall = test::replacement_in<test::Syscall>(govern::filters::got_requests(), "syscall");
  os::watch_confinement();
  CHECK(test::in_child([] {
          if (test::refuse(SYS_acct, 0, by_prctl) < 0) return 2;
          return os::is_known_confined() ? 0 : 1;
        }) == 0);
}

TEST_CASE("filters: one that the kernel refuses is not") {
  constexpr unsigned long kUnknown = 1UL << 20U;
  auto* const call =
      test::replacement_in<test::Syscall>(govern::filters::got_requests(), "syscall");
  os::watch_confinement();
  CHECK(test::refuse(SYS_acct, kListens | kUnknown, call) < 0);
  CHECK_FALSE(os::is_known_confined());
}
