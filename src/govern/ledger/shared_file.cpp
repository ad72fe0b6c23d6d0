#include "shared_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "os/os.h"

namespace corewise::govern {

SharedFile::SharedFile(const std::string& path, int flags)
    : file_(open(path.c_str(), flags | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0600)) {}

std::string SharedFile::objection(const FileShape& shape) const {
  struct stat info{};
  if (fstat(fd(), &info) != 0) return "cannot be examined: " + system_says(errno);
  if (!S_ISREG(info.st_mode)) return "is not a regular file";
  if (info.st_uid != geteuid()) return "belongs to user " + std::to_string(info.st_uid);
  if ((info.st_mode & 07777) != shape.mode) return shape.wrong_mode;
  if (info.st_size != static_cast<off_t>(shape.size)) return "has the wrong size";
  return {};
}

void* SharedFile::map(std::size_t size, int protection) const {
  const int flags = fd() < 0 ? MAP_SHARED | MAP_ANONYMOUS : MAP_SHARED;
  void* at = mmap(nullptr, size, protection, flags, fd(), 0);
  return at == MAP_FAILED ? nullptr : at;
}

std::string why_not_opened(int error) {
  return error == ELOOP ? "it is a symbolic link" : system_says(error);
}

std::uint64_t fnv(std::string_view bytes) noexcept {
  std::uint64_t hash = 0xcbf29ce484222325U;
  for (const char c : bytes) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3U;
  return hash;
}

std::string hex(std::uint64_t value) {
  std::string text(16, '0');
  for (std::size_t i = 16; i-- > 0; value >>= 4) text[i] = "0123456789abcdef"[value & 15];
  return text;
}

int make_shared_file(const std::string& path, const FileShape& shape,
                     const std::function<void(void*)>& fill, std::unique_ptr<SharedFile>& made) {
  // Beyond this limit the system does not refuse: it sends a signal.
  if (!os::has_room(-1, shape.size)) return EFBIG;
  const std::string unfinished = path + "." + std::to_string(os::own_thread_id()) + ".new";
  unlink(unfinished.c_str());
  made = std::make_unique<SharedFile>(unfinished, O_RDWR | O_CREAT | O_EXCL);
  const SharedFile& file = *made;
  if (file.fd() < 0) return errno;
  flock(file.fd(), LOCK_SH);
  int error = 0;
  // A page that the system cannot provide must fail here, not with SIGBUS at its first use.
  if (fchmod(file.fd(), shape.mode) != 0) {
    error = errno;
  } else {
    error = posix_fallocate(file.fd(), 0, static_cast<off_t>(shape.size));
  }
  if (error == 0) {
    if (void* at = file.map(shape.size, PROT_READ | PROT_WRITE)) {
      fill(at);
      munmap(at, shape.size);
      if (link(unfinished.c_str(), path.c_str()) != 0 && errno != EEXIST) error = errno;
    } else {
      error = errno;
    }
  }
  unlink(unfinished.c_str());
  return error;
}

}  // namespace corewise::govern
