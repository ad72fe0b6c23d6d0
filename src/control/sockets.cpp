#include "sockets.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>
#include <string_view>

#include "base/text.h"
#include "os/descriptor.h"
#include "os/os.h"
#include "os/private_folder.h"

namespace corewise::control {
namespace {

std::string folder_in_tmp(uid_t user) { return "/tmp/corewise-" + std::to_string(user); }

std::string folder_below(std::string_view runtime) {
  return runtime.starts_with('/') ? std::string(runtime) + "/corewise" : std::string();
}

std::string own_runtime() { return std::string(os::variable("XDG_RUNTIME_DIR").value_or("")); }

// The folder in XDG_RUNTIME_DIR, if that is the user's own. `sudo -E` leaves root with another
// user's, who can put anything in its place.
std::string folder_in_own_runtime() {
  const std::string runtime = own_runtime();
  struct stat seen{};
  const bool owned = ::stat(runtime.c_str(), &seen) == 0 && seen.st_uid == ::geteuid();
  return owned ? folder_below(runtime) : std::string();
}

bool fits(const std::string& path) { return path.size() < sizeof(sockaddr_un::sun_path); }

constexpr std::string_view kEnding = ".sock";

std::string file_in(const std::string& folder, int pid, std::string_view ending) {
  return folder + "/" + std::to_string(pid) + std::string(ending);
}

std::string socket_in(const std::string& folder, int pid) { return file_in(folder, pid, kEnding); }

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
  // The listener may leave its queue full: the kernel lets connect() wait as long as a send.
  constexpr timeval kPatience{0, 500'000};
  constexpr timeval kForEver{0, 0};
  const auto* name = reinterpret_cast<const sockaddr*>(&address);
  if (::setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &kPatience, sizeof kPatience) == 0 &&
      ::connect(fd, name, sizeof address) == 0 &&
      ::setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &kForEver, sizeof kForEver) == 0) {
    return fd;
  }
  const int reason = errno;
  ::close(fd);
  errno = reason;
  return -1;
}

std::optional<ucred> peer_of(int fd) {
  ucred peer{};
  socklen_t size = sizeof peer;
  if (::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) return std::nullopt;
  return peer;
}

// The user that a process acts as; none if it cannot be read. The owner of /proc/PID will not do:
// it is root for a process that may not be dumped.
std::optional<uid_t> user_of(int pid) {
  const auto status = os::read_file("/proc/" + std::to_string(pid) + "/status");
  for (std::string_view rest = status ? std::string_view(*status) : ""; !rest.empty();) {
    std::string_view line = cut(rest, '\n');
    constexpr std::string_view kName = "Uid:\t";
    if (!line.starts_with(kName)) continue;
    line.remove_prefix(kName.size());
    cut(line, '\t');  // the real one
    const auto user = parse_integer(cut(line, '\t'));
    if (user && *user >= 0) return static_cast<uid_t>(*user);
  }
  return std::nullopt;
}

// A folder that the user alone decides about: anybody else who can write to it can listen there.
bool is_folder_of(const std::string& folder, uid_t user) {
  struct stat seen{};
  return ::lstat(folder.c_str(), &seen) == 0 && S_ISDIR(seen.st_mode) &&
         (seen.st_uid == user || seen.st_uid == 0) && (seen.st_mode & 022) == 0;
}

// Whether the process itself is at the other end. Another process may have had its pid and called
// listen(), so the user must be right too. Root may do what it likes to the process anyway.
bool is_at_the_end(int fd, int pid, uid_t user) {
  const auto peer = peer_of(fd);
  return peer && peer->pid == pid && (peer->uid == user || peer->uid == 0);
}

}  // namespace

Result<std::string> own_file(std::string_view ending) {
  std::string why;
  for (const std::string& folder : {folder_in_own_runtime(), folder_in_tmp(::geteuid())}) {
    std::string path = file_in(folder, ::getpid(), ending);
    if (folder.empty() || !fits(path)) continue;
    const std::string wrong = os::make_private_folder(folder);
    if (wrong.empty()) return path;
    why += (why.empty() ? "" : "; ") + folder + ": " + wrong;
  }
  return Error{CW_NOT_PERMITTED, why};
}

Result<std::string> own_socket() {
  auto path = own_file(kEnding);
  if (path) return path;
  return Error{CW_NOT_PERMITTED,
               "there is no private folder for the control socket: " + path.error().what};
}

int connect_path(const std::string& path) { return connect_by(path, 0); }

bool is_left(const std::string& path) {
  const int fd = connect_by(path, SOCK_NONBLOCK);
  if (fd < 0) return errno == ECONNREFUSED;
  ::close(fd);
  return false;
}

Result<int> connect_to(int pid, FullQueue full) {
  const std::string name = "process " + std::to_string(pid);
  const std::optional<uid_t> user = user_of(pid);
  if (!user) return Error{CW_NO_SUCH_PROCESS, "there is no " + name};
  const bool at_once = full == FullQueue::give_up;
  bool is_full = false;
  bool refused = ::geteuid() != 0 && *user != ::geteuid();
  for (const std::string& folder : folders_of(pid, *user)) {
    if (!is_folder_of(folder, *user)) continue;
    const int fd = connect_by(socket_in(folder, pid), at_once ? SOCK_NONBLOCK : 0);
    if (fd < 0) {
      refused = refused || errno == EACCES;
      is_full = is_full || errno == EAGAIN;
      continue;
    }
    const bool blocks = !at_once || ::fcntl(fd, F_SETFL, 0) == 0;
    if (blocks && is_at_the_end(fd, pid, *user)) return fd;
    ::close(fd);
  }
  if (is_full) return Error{CW_IO_ERROR, name + " does not answer: its queue of callers is full"};
  if (refused) {
    return Error{CW_NOT_PERMITTED, name + " belongs to user " + std::to_string(*user) +
                                       ": only that user and root may control it"};
  }
  return Error{CW_NOT_AVAILABLE, name + " has no control socket"};
}

std::vector<int> served_pids() {
  std::vector<int> pids;
  for (const std::string& folder : {folder_in_own_runtime(), folder_in_tmp(::geteuid())}) {
    if (folder.empty() || !is_folder_of(folder, ::geteuid())) continue;
    for (const std::string_view name : os::names_in(folder)) {
      if (!name.ends_with(kEnding)) continue;
      const auto pid = parse_integer(name.substr(0, name.size() - kEnding.size()));
      if (!pid || *pid <= 0 || *pid > 1 << 22) continue;
      const std::string proc = "/proc/" + std::to_string(*pid);
      if (::access(proc.c_str(), F_OK) == 0) {
        pids.push_back(static_cast<int>(*pid));
        // A process that we do not see may be in another pid namespace, such as a container's with
        // the same /tmp: it still listens.
      } else if (const std::string path = socket_in(folder, static_cast<int>(*pid));
                 is_left(path)) {
        ::unlink(path.c_str());
      }
    }
  }
  std::ranges::sort(pids);
  const auto twice = std::ranges::unique(pids);
  pids.erase(twice.begin(), twice.end());
  return pids;
}

void remove_own_left() {
  for (const std::string& folder : {folder_in_own_runtime(), folder_in_tmp(::geteuid())}) {
    const std::string path = socket_in(folder, ::getpid());
    if (folder.empty() || !fits(path)) continue;
    const os::Descriptor in(
        os::open_private_folder(folder.c_str(), folder.size(), os::Missing::leave));
    const std::string name = path.substr(folder.size() + 1);
    struct stat seen{};
    const bool is_socket = in.is_open() &&
                           ::fstatat(in.number(), name.c_str(), &seen, AT_SYMLINK_NOFOLLOW) == 0 &&
                           S_ISSOCK(seen.st_mode);
    // In another pid namespace with the same folder, another process may have this number.
    if (is_socket && is_left(path)) ::unlinkat(in.number(), name.c_str(), 0);
  }
}

void remove_left() { static_cast<void>(served_pids()); }

}  // namespace corewise::control
