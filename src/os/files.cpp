// Reading files and folders: into memory of ours, or into the caller's without allocating.
#include <dirent.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string_view>

#include "descriptor.h"
#include "os.h"

namespace corewise::os {

bool has_room(int fd, std::size_t bytes) noexcept {
  rlimit most{};
  struct stat seen{};
  if (::getrlimit(RLIMIT_FSIZE, &most) != 0 || most.rlim_cur == RLIM_INFINITY) return true;
  if (fd >= 0 && ::fstat(fd, &seen) != 0) return false;
  return static_cast<rlim_t>(seen.st_size) + bytes <= most.rlim_cur;
}

int read_to_end(int fd, std::size_t most, std::string& text) {
  // Straight into the text: the caller may be a hook on a thread with a stack of 16 KiB. Twice as
  // much each time, since a file in /proc of 90 kB would take 180 calls of 512 bytes.
  constexpr std::size_t kLeast = 512;
  while (text.size() < most) {
    const std::size_t known = text.size();
    text.resize(known + std::min(std::max(known, kLeast), most - known));
    ssize_t n = 0;
    do {
      n = ::read(fd, text.data() + known, text.size() - known);
    } while (n < 0 && errno == EINTR);
    const int reason = n < 0 ? errno : 0;
    text.resize(known + static_cast<std::size_t>(std::max<ssize_t>(0, n)));
    if (n <= 0) return reason;
  }
  return 0;
}

Result<std::string> read_file(const std::string& path, std::size_t most) {
  const auto error = [&](Status status, int reason) {
    return Error{reason == EACCES || reason == EPERM ? CW_NOT_PERMITTED : status,
                 path + ": " + system_says(reason)};
  };
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file.is_open()) {
    const bool gone = (errno == ENOENT || errno == ESRCH) && path.starts_with("/proc/");
    return error(gone ? CW_NO_SUCH_PROCESS : CW_IO_ERROR, errno);
  }
  std::string text;
  const int reason = read_to_end(file.number(), most, text);
  if (reason != 0) return error(reason == ESRCH ? CW_PROCESS_ENDED : CW_IO_ERROR, reason);
  return text;
}

std::string_view read_into(const char* path, std::span<char> buffer) noexcept {
  const Descriptor file(::open(path, O_RDONLY | O_CLOEXEC));
  if (!file.is_open()) return {};
  const ssize_t n = ::read(file.number(), buffer.data(), buffer.size());
  return {buffer.data(), static_cast<std::size_t>(std::max<ssize_t>(0, n))};
}

std::vector<std::string> names_in(const std::string& folder) {
  std::vector<std::string> names;
  DIR* const open = ::opendir(folder.c_str());
  if (open == nullptr) return names;
  const auto next = [open] {
    errno = 0;
    return ::readdir(open);  // NOLINT(concurrency-mt-unsafe): of a stream that is ours alone
  };
  while (const dirent* const entry = next()) {
    const std::string_view name = entry->d_name;
    if (name != "." && name != "..") names.emplace_back(name);
  }
  if (errno != 0) names.clear();
  ::closedir(open);
  return names;
}

}  // namespace corewise::os
