#include "own_descriptor.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "base/keep_errno.h"
#include "uncancelled.h"

namespace corewise::os {
namespace {

bool has_few() noexcept {
  constexpr rlim_t kFew = 16;
  rlimit most{};
  return ::getrlimit(RLIMIT_NOFILE, &most) == 0 && most.rlim_cur < kFew;
}

}  // namespace

bool OwnDescriptor::adopt(int fd) noexcept {
  // Lower numbers are the standard streams, and those that shells and daemons choose.
  constexpr int kLikedFloor = 48;
  constexpr int kFloor = 3;
  if (fd >= 0 && fd < kLikedFloor) {
    const int low = fd;
    fd = ::fcntl(low, F_DUPFD_CLOEXEC, kLikedFloor);
    // A process may be allowed fewer descriptors, or so few that it needs them all itself.
    if (fd < 0 && has_few()) {
      errno = EMFILE;
    } else if (fd < 0) {
      fd = low >= kFloor ? low : ::fcntl(low, F_DUPFD_CLOEXEC, kFloor);
    }
    const KeepErrno keep;
    if (fd != low) ::close(low);
  }
  struct stat seen{};
  if (fd < 0) return false;
  if (::fstat(fd, &seen) != 0) {
    const KeepErrno keep;
    ::close(fd);
    return false;
  }
  device_.store(seen.st_dev);
  inode_.store(seen.st_ino);
  // Last: a reader of the number compares its file with these.
  fd_.store(fd);
  return true;
}

int OwnDescriptor::own() const noexcept {
  const int fd = fd_.load();
  struct stat seen{};
  const bool same = fd >= 0 && ::fstat(fd, &seen) == 0 && seen.st_dev == device_.load() &&
                    seen.st_ino == inode_.load();
  return same ? fd : -1;
}

void OwnDescriptor::close() noexcept {
  const Uncancelled uncancelled;
  const int fd = own();
  fd_.store(-1);
  if (fd >= 0) ::close(fd);
}

}  // namespace corewise::os
