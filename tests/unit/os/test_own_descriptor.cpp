#include <doctest/doctest.h>
#include <fcntl.h>

#include <cerrno>

#include "os/own_descriptor.h"
#include "system_call_filter.h"

using namespace corewise;

namespace {

int open_descriptors() {
  int count = 0;
  for (int fd = 0; fd < 1024; ++fd) count += ::fcntl(fd, F_GETFD) >= 0 ? 1 : 0;
  return count;
}

}  // namespace

TEST_CASE("a descriptor that cannot be identified is closed") {
  const int open = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  REQUIRE(open >= 0);
  const int code = test::in_child([&] {
    constexpr auto kSyscall = [](long number, long a, long b, long c, long d, long e, long f) {
      return ::syscall(number, a, b, c, d, e, f);
    };
    // By which of the two fstat() asks depends on the C library.
    if (test::refuse(SYS_fstat, 0, kSyscall) != 0) return 2;
    if (test::refuse(SYS_newfstatat, 0, kSyscall) != 0) return 2;
    const int before = open_descriptors();
    os::OwnDescriptor own;
    if (own.adopt(open) || errno != EPERM) return 3;
    return open_descriptors() < before ? 0 : 1;
  });
  CHECK(code == 0);
  ::close(open);
}
