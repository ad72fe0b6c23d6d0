#include "foreign_files.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstring>

#include "os/confined.h"

namespace corewise::govern {
namespace {

// linux/openat2.h, which systems that we are built on lack.
struct OpenHow {
  std::uint64_t flags;
  std::uint64_t mode;
  std::uint64_t resolve;
};
constexpr long kOpenat2 = 437;
constexpr std::uint64_t kNoOtherMount = 0x01;
constexpr std::uint64_t kNoLinks = 0x04;
constexpr std::uint64_t kBelow = 0x08;

os::Descriptor open_plainly(int folder, const char* name) noexcept {
  OpenHow how{O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY, 0,
              kNoOtherMount | kNoLinks | kBelow};
  return os::Descriptor(static_cast<int>(::syscall(kOpenat2, folder, name, &how, sizeof how)));
}

}  // namespace

ForeignFiles::ForeignFiles(const char* folder) noexcept
    : folder_(::open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) {}

const char* ForeignFiles::next() noexcept {
  if (!folder_.is_open() || ++names_ > kMostNames) return nullptr;
  if (at_ >= end_) {
    const long got = ::syscall(SYS_getdents64, folder_.number(), entries_.data(), entries_.size());
    if (got <= 0) return nullptr;
    at_ = 0;
    end_ = static_cast<std::size_t>(got);
  }
  const char* const entry = entries_.data() + at_;
  unsigned short length = 0;
  std::memcpy(&length, entry + offsetof(dirent64, d_reclen), sizeof length);
  at_ += length;
  return entry + offsetof(dirent64, d_name);
}

bool ForeignFiles::read(const char* name, uid_t owner, std::span<std::byte> bytes) const noexcept {
  const os::Descriptor file = open_plainly(folder_.number(), name);
  if (!file.is_open()) return false;
  struct stat info{};
  const bool plain = ::fstat(file.number(), &info) == 0 && S_ISREG(info.st_mode) &&
                     info.st_uid == owner && info.st_nlink == 1 && (info.st_mode & 07777) == 0644 &&
                     info.st_size == static_cast<off_t>(bytes.size());
  return plain && ::pread(file.number(), bytes.data(), bytes.size(), 0) ==
                      static_cast<ssize_t>(bytes.size());
}

bool ForeignFiles::can_read() {
  if (os::is_call_fatal(kOpenat2)) return false;
  return open_plainly(AT_FDCWD, ".").is_open() || (errno != ENOSYS && errno != EPERM);
}

}  // namespace corewise::govern
