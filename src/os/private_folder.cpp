#include "private_folder.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <climits>
#include <cstring>

#include "base/error.h"
#include "descriptor.h"

namespace corewise::os {
namespace {

using Name = std::array<char, NAME_MAX + 1>;

int refuse(int reason) noexcept {
  errno = reason;
  return -1;
}

bool is_trusted(const struct stat& seen) noexcept {
  return seen.st_uid == 0 || seen.st_uid == ::geteuid();
}

// Whether this user may reasonably make a folder there.
bool is_place_for_new(int folder) noexcept {
  struct stat seen{};
  struct stat root{};
  if (::fstat(folder, &seen) != 0 || ::stat("/", &root) != 0) return false;
  if (seen.st_ino == root.st_ino && seen.st_dev == root.st_dev) return false;
  return seen.st_uid == ::geteuid() || (seen.st_mode & S_ISVTX) != 0;
}

// Opens the next folder on the way; -1 with errno if it cannot.
int step(int from, const char* name, bool may_miss, Missing missing) noexcept {
  struct stat seen{};
  if (::fstatat(from, name, &seen, AT_SYMLINK_NOFOLLOW) != 0) {
    if (errno != ENOENT) return -1;
    if (!may_miss || !is_place_for_new(from)) return refuse(EACCES);
    if (missing == Missing::leave) return refuse(ENOENT);
    if (::mkdirat(from, name, 0700) != 0 && errno != EEXIST) return -1;
    if (::fstatat(from, name, &seen, AT_SYMLINK_NOFOLLOW) != 0) return -1;
  }
  if (!is_trusted(seen)) return refuse(EPERM);
  const int follow = S_ISLNK(seen.st_mode) ? 0 : O_NOFOLLOW;
  const int fd = ::openat(from, name, O_PATH | O_DIRECTORY | O_CLOEXEC | follow);
  if (fd < 0 || (::fstat(fd, &seen) == 0 && is_trusted(seen))) return fd;
  ::close(fd);
  return refuse(EPERM);
}

}  // namespace

std::string make_private_folder(const std::string& folder) {
  struct stat seen{};
  if ((::mkdir(folder.c_str(), 0700) != 0 && errno != EEXIST) ||
      ::lstat(folder.c_str(), &seen) != 0) {
    return system_says(errno);
  }
  if (!S_ISDIR(seen.st_mode)) return "it is not a folder";
  if (seen.st_uid != ::geteuid()) return "it belongs to somebody else";
  if ((seen.st_mode & 077) != 0) return "others may enter it: chmod 700";
  return {};
}

int open_private_folder(const char* path, std::size_t given, Missing missing) noexcept {
  if (path[0] != '/') return refuse(EINVAL);
  Descriptor at(::open("/", O_PATH | O_DIRECTORY | O_CLOEXEC));
  Name name{};
  for (const char* rest = path; at.is_open();) {
    rest += std::strspn(rest, "/");
    const std::size_t size = std::strcspn(rest, "/");
    if (size == 0) break;
    if (size >= name.size()) return refuse(ENAMETOOLONG);
    std::memcpy(name.data(), rest, size);
    name[size] = '\0';
    const bool may_miss = static_cast<std::size_t>(rest - path) >= given;
    rest += size;
    at = Descriptor(step(at.number(), name.data(), may_miss, missing));
    if (!at.is_open()) return -1;
  }
  struct stat seen{};
  if (!at.is_open() || ::fstat(at.number(), &seen) != 0) return -1;
  if (seen.st_uid != ::geteuid() || (seen.st_mode & 077) != 0) return refuse(EPERM);
  return ::openat(at.number(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

}  // namespace corewise::os
