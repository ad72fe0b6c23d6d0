#include <doctest/doctest.h>
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

#include "os/fork.h"
#include "os/own_descriptor.h"
#include "system_call_filter.h"

using namespace corewise;
using Kept = os::KeptFile::Kept;

namespace {

constexpr int kFloor = 48;

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

TEST_CASE("a kept file is opened again, and what is at its number by now is left alone") {
  os::KeptFile file("/proc/loadavg");
  CHECK(file.own() < 0);
  REQUIRE(file.keep() == Kept::yes);
  const int first = file.own();
  CHECK(first >= kFloor);
  CHECK(file.keep() == Kept::yes);
  CHECK(file.own() == first);

  const int other = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  REQUIRE(::dup2(other, first) == first);
  CHECK(file.own() < 0);
  CHECK(file.keep() == Kept::yes);
  CHECK(file.own() > first);
  CHECK(::fcntl(first, F_GETFD) >= 0);
  ::close(file.own());
  ::close(first);
  ::close(other);
}

TEST_CASE("a kept file waits while a standard stream's number is free, or a thread forks") {
  os::KeptFile file("/proc/loadavg");
  REQUIRE(file.keep() == Kept::yes);
  const int code = test::in_child([&] {
    ::close(file.own());
    ::close(STDIN_FILENO);
    if (file.keep() != Kept::later) return 1;
    if (::open("/dev/null", O_RDONLY) != STDIN_FILENO) return 2;
    os::fork_lock(os::ForkRank::kKeptFiles).lock();
    if (file.keep() != Kept::later) return 3;
    os::fork_lock(os::ForkRank::kKeptFiles).unlock();
    return file.keep() == Kept::yes ? 0 : 4;
  });
  CHECK(code == 0);
  ::close(file.own());
}

TEST_CASE("a kept file is opened a hundred times, and anew in the child of a fork") {
  os::KeptFile file("/proc/loadavg");
  for (int i = 0; i < 100; ++i) {
    REQUIRE(file.keep() == Kept::yes);
    ::close(file.own());
  }
  CHECK(file.keep() == Kept::later);
  CHECK(test::in_child([&] {
          if (file.keep_anew() != Kept::yes) return 1;
          ::close(file.own());
          return file.keep() == Kept::yes ? 0 : 2;
        }) == 0);
}

TEST_CASE("a kept file that cannot be opened") {
  os::KeptFile file("/nowhere");
  CHECK(file.keep() == Kept::refused);
  CHECK(file.own() < 0);
}
