#include "own_descriptor.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "base/blocked_signals.h"
#include "base/keep_errno.h"
#include "fork.h"
#include "uncancelled.h"

namespace corewise::os {
namespace {

bool has_few() noexcept {
  constexpr rlim_t kFew = 16;
  rlimit most{};
  return ::getrlimit(RLIMIT_NOFILE, &most) == 0 && most.rlim_cur < kFew;
}

constexpr int kMostTimes = 100;

bool is_standard_number_free() noexcept {
  for (const int number : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (::fcntl(number, F_GETFD) < 0 && errno == EBADF) return true;
  }
  return false;
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

bool OwnDescriptor::is_hidden() const noexcept {
  struct stat seen{};
  return is_open() && ::fstat(number(), &seen) != 0 && errno != EBADF;
}

void OwnDescriptor::close() noexcept {
  const Uncancelled uncancelled;
  const int fd = own();
  fd_.store(-1);
  if (fd >= 0) ::close(fd);
}

KeptFile::Kept KeptFile::open() noexcept {
  file_.close();
  times_.fetch_add(1);
  if (!file_.adopt(::open(path_, O_RDONLY | O_CLOEXEC))) return Kept::refused;
  opened_.store(true);
  return Kept::yes;
}

KeptFile::Kept KeptFile::keep() noexcept {
  const Uncancelled uncancelled;
  const KeepErrno keep;
  if (file_.own() >= 0) return Kept::yes;
  if (file_.is_hidden()) return Kept::refused;
  // A handler on this thread would find the lock taken, or the file half changed in its child.
  const BlockedSignals blocked;
  ForkLock& lock = fork_lock(ForkRank::kKeptFiles);
  if (!lock.try_lock()) return Kept::later;
  Kept kept = Kept::yes;
  if (file_.own() < 0) {
    const bool again = opened_.load();
    const bool wait = again && (times_.load() >= kMostTimes || is_standard_number_free());
    kept = wait ? Kept::later : open();
  }
  lock.unlock();
  return kept;
}

KeptFile::Kept KeptFile::keep_anew() noexcept {
  const Uncancelled uncancelled;
  const KeepErrno keep;
  const BlockedSignals blocked;
  times_.store(0);
  return open();
}

}  // namespace corewise::os
