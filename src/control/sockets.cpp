#include "sockets.h"

#include <dirent.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <string_view>

#include "../os/os.h"
#include "../os/private_folder.h"
#include "../text.h"

namespace corewise::control {
namespace {

std::string folder_in_tmp(uid_t user) { return "/tmp/corewise-" + std::to_string(user); }

std::string folder_below(std::string_view runtime) {
  return runtime.starts_with('/') ? std::string(runtime) + "/corewise" : std::string();
}

std::string own_runtime() {
  const char* value = std::getenv("XDG_RUNTIME_DIR");  // NOLINT(concurrency-mt-unsafe)
  return value != nullptr ? value : "";
}

bool fits(const std::string& path) { return path.size() < sizeof(sockaddr_un::sun_path); }

std::string socket_in(const std::string& folder, int pid) {
  return folder + "/" + std::to_string(pid) + ".sock";
}

// The folders in which a process of that user may have its socket.
std::vector<std::string> folders_of(int pid, uid_t user) {
  std::vector<std::string> all;
  const auto environment = os::read_file("/proc/" + std::to_string(pid) + "/environ");
  for (std::string_view rest = environment ? std::string_view(*environment) : ""; !rest.empty();) {
    const std::string_view entry = cut(rest, '\0');
    constexpr std::string_view kName = "XDG_RUNTIME_DIR=";
    if (entry.starts_with(kName)) all.push_back(folder_below(entry.substr(kName.size())));
  }
  all.push_back(folder_below(own_runtime()));
  all.push_back(folder_in_tmp(user));
  std::erase(all, "");
  return all;
}

int connect_by(const std::string& path, int flags) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (!fits(path)) {
    errno = ENAMETOOLONG;
    return -1;
  }
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);
  if (fd < 0) return -1;
  if (::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) return fd;
  const int reason = errno;
  ::close(fd);
  errno = reason;
  return -1;
}

// Whether nobody listens at it any more. A process that is not seen here may be one of another pid
// namespace, such as a container's with the same /tmp: it still listens.
bool is_left(const std::string& path) {
  const int fd = connect_by(path, SOCK_NONBLOCK);
  if (fd < 0) return errno == ECONNREFUSED;
  ::close(fd);
  return false;
}

std::optional<ucred> peer_of(int fd) {
  ucred peer{};
  socklen_t size = sizeof peer;
  if (::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) return std::nullopt;
  return peer;
}

}  // namespace

Result<std::string> own_socket() {
  std::string why;
  for (const std::string& folder : {folder_below(own_runtime()), folder_in_tmp(::geteuid())}) {
    std::string path = socket_in(folder, ::getpid());
    if (folder.empty() || !fits(path)) continue;
    const std::string wrong = os::make_private_folder(folder);
    if (wrong.empty()) return path;
    why += (why.empty() ? "" : "; ") + folder + ": " + wrong;
  }
  return Error{CW_NOT_PERMITTED, "there is no private folder for the control socket: " + why};
}

int connect_path(const std::string& path) { return connect_by(path, 0); }

Result<int> connect_to(int pid) {
  const std::string name = "process " + std::to_string(pid);
  struct stat seen{};
  if (::stat(("/proc/" + std::to_string(pid)).c_str(), &seen) != 0) {
    return Error{CW_NO_SUCH_PROCESS, "there is no " + name};
  }
  const std::string user = std::to_string(seen.st_uid);
  bool refused = ::geteuid() != 0 && seen.st_uid != ::geteuid();
  for (const std::string& folder : folders_of(pid, seen.st_uid)) {
    const int fd = connect_path(socket_in(folder, pid));
    if (fd < 0) {
      refused = refused || errno == EACCES;
      continue;
    }
    const auto peer = peer_of(fd);
    if (peer && peer->pid == pid) return fd;
    ::close(fd);
  }
  if (refused) {
    return Error{CW_NOT_PERMITTED,
                 name + " belongs to user " + user + ": only that user and root may control it"};
  }
  return Error{CW_NOT_AVAILABLE, name + " has no control socket"};
}

std::vector<int> served_pids() {
  std::vector<int> pids;
  for (const std::string& folder : {folder_below(own_runtime()), folder_in_tmp(::geteuid())}) {
    DIR* const list = folder.empty() ? nullptr : ::opendir(folder.c_str());
    if (list == nullptr) continue;
    // NOLINTNEXTLINE(concurrency-mt-unsafe): nobody else reads this stream
    while (const dirent* entry = ::readdir(list)) {
      const std::string_view name = entry->d_name;
      constexpr std::string_view kEnd = ".sock";
      if (!name.ends_with(kEnd)) continue;
      const auto pid = parse_integer(name.substr(0, name.size() - kEnd.size()));
      if (!pid || *pid <= 0 || *pid > 1 << 22) continue;
      const std::string proc = "/proc/" + std::to_string(*pid);
      if (::access(proc.c_str(), F_OK) == 0) {
        pids.push_back(static_cast<int>(*pid));
      } else if (const std::string path = socket_in(folder, static_cast<int>(*pid));
                 is_left(path)) {
        ::unlink(path.c_str());
      }
    }
    ::closedir(list);
  }
  std::ranges::sort(pids);
  const auto twice = std::ranges::unique(pids);
  pids.erase(twice.begin(), twice.end());
  return pids;
}

}  // namespace corewise::control
