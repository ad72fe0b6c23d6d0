#include "children.h"

#include <alloca.h>
#include <fcntl.h>
#include <limits.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdarg>
#include <cstddef>
#include <cstring>
#include <initializer_list>
#include <span>
#include <string_view>

#include "base/keep_errno.h"
#include "base/text.h"
#include "file_actions.h"
#include "govern/patch/filters.h"
#include "os/loadable.h"
#include "os/uncancelled.h"

namespace corewise::agent {
namespace {

constexpr std::string_view kPreload = "LD_PRELOAD=";
// Makes the loader list what it would load, as ldd does: tools that pack a program take that list.
constexpr std::string_view kTrace = "LD_TRACE_LOADED_OBJECTS=";

// As LD_PRELOAD names this library.
constinit std::array<char, PATH_MAX> own_name{};

// The library list without ours; `to` has room for all of it.
void drop_own(std::string_view list, char* to) noexcept {
  while (!list.empty()) {
    const std::size_t end = std::min(list.find_first_of(" :"), list.size());
    const std::string_view entry = list.substr(0, end);
    if (entry != own_name.data()) {
      to = std::copy(entry.begin(), entry.end(), to);
      if (end < list.size()) *to++ = list[end];
    }
    list.remove_prefix(std::min(end + 1, list.size()));
  }
  *to = '\0';
}

// `start`: a name and "=".
const char* entry_in(char* const* environment, std::string_view start) noexcept {
  for (; environment != nullptr && *environment != nullptr; ++environment) {
    if (std::strncmp(*environment, start.data(), start.size()) == 0) return *environment;
  }
  return nullptr;
}

// A statically linked program has no loader to object, and its children may be governed. The call
// may be in another root, or of another user, than when this library was loaded. No path: what the
// child will find is not known.
bool must_go_without(const char* path, char* const* words) noexcept {
  if (path == nullptr) return true;
  const os::Uncancelled uncancelled;
  const KeepErrno keep;
  os::Started started;
  // Of a bare name the loader asks its own list of folders.
  const bool has_path = std::strchr(own_name.data(), '/') != nullptr;
  os::find_obstacle(path, words, has_path ? own_name.data() : nullptr, started);
  return started.obstacle != os::Obstacle::none && started.obstacle != os::Obstacle::no_loader;
}

// Calls start() with an environment that the program at the path can run with. Builds it on the
// stack: a child of vfork has its parent's heap.
template <class Start>
int start_with(const char* path, char* const* words, char* const* environment,
               Start start) noexcept {
  const char* const preload = entry_in(environment, kPreload);
  if (preload == nullptr || std::strstr(preload, own_name.data()) == nullptr ||
      (entry_in(environment, kTrace) == nullptr && !must_go_without(path, words))) {
    return start(environment);
  }
  std::size_t count = 0;
  while (environment[count] != nullptr) ++count;
  auto** const changed = static_cast<char**>(::alloca((count + 1) * sizeof(char*)));
  auto* const entry = static_cast<char*>(::alloca(std::strlen(preload) + 1));
  std::copy(kPreload.begin(), kPreload.end(), entry);
  drop_own(preload + kPreload.size(), entry + kPreload.size());
  char** to = changed;
  for (std::size_t i = 0; i < count; ++i) {
    if (environment[i] != preload) {
      *to++ = environment[i];
    } else if (entry[kPreload.size()] != '\0') {
      *to++ = entry;
    }
  }
  *to = nullptr;
  return start(changed);
}

// The C library's functions. A library that the program preloads may have others of these names.
struct {
  decltype(&::execve) execve;
  decltype(&::execvpe) execvpe;
  decltype(&::fexecve) fexecve;
  decltype(&::posix_spawn) posix_spawn;
  decltype(&::posix_spawnp) posix_spawnp;
  decltype(&::syscall) syscall;
} constinit own{};

bool can_start(const char* path) noexcept {
  struct stat status{};
  return ::stat(path, &status) == 0 && S_ISREG(status.st_mode) && ::access(path, X_OK) == 0;
}

// Where execvp() looks.
std::string_view search_path() noexcept {
  const char* const set = ::getenv("PATH");  // NOLINT(concurrency-mt-unsafe): as execvp() does
  return set != nullptr ? set : "/bin:/usr/bin";
}

// The parts of a path, with slashes between those that are there. Null where there is no room.
const char* joined(std::initializer_list<std::string_view> parts, std::span<char> room) noexcept {
  std::size_t size = 0;
  for (const std::string_view part : parts) size += part.size() + 1;
  if (size > room.size()) return nullptr;
  char* at = room.data();
  for (const std::string_view part : parts) {
    if (part.empty()) continue;
    if (at != room.data()) *at++ = '/';
    at = std::copy(part.begin(), part.end(), at);
  }
  *at = '\0';
  return room.data();
}

// A relative path as this process has to write it. Null: only the child knows.
const char* seen_from_here(const char* path, const ChildFolder& child,
                           std::span<char> room) noexcept {
  const bool is_here = child.is_known && child.folder.empty();
  if (is_here || path == nullptr || *path == '/') return path;
  return child.is_known ? joined({child.folder, path}, room) : nullptr;
}

// The room that find_in_path() needs. Longer paths than the system's own are not looked at.
std::size_t room_in_path(const char* name, const ChildFolder& child = {}) noexcept {
  std::size_t longest = 0;
  for (std::string_view folders = search_path(); !folders.empty();) {
    longest = std::max(longest, cut(folders, ':').size());
  }
  return std::min<std::size_t>(child.folder.size() + longest + std::strlen(name) + 3, PATH_MAX);
}

// The file that execvp() finds; the name itself where it finds none. Null: only the child knows.
const char* find_in_path(const char* name, std::span<char> path,
                         const ChildFolder& child = {}) noexcept {
  if (std::strchr(name, '/') != nullptr) return seen_from_here(name, child, path);
  std::string_view folders = search_path();
  while (true) {
    const std::string_view folder = folders.substr(0, folders.find(':'));
    const bool is_relative = !folder.starts_with('/');
    if (is_relative && !child.is_known) return nullptr;
    const std::string_view origin = is_relative ? child.folder : std::string_view();
    const char* const found = joined({origin, folder, name}, path);
    if (found != nullptr && can_start(found)) return found;
    if (folder.size() == folders.size()) return name;
    folders.remove_prefix(folder.size() + 1);
  }
}

int hooked_execve(const char* path, char* const* words, char* const* environment) {
  return start_with(path, words, environment,
                    [&](char* const* with) { return own.execve(path, words, with); });
}

int hooked_execv(const char* path, char* const* words) {
  return hooked_execve(path, words, environ);
}

int hooked_execvpe(const char* name, char* const* words, char* const* environment) {
  const std::size_t room = room_in_path(name);
  const std::span path(static_cast<char*>(::alloca(room)), room);
  return start_with(find_in_path(name, path), words, environment,
                    [&](char* const* with) { return own.execvpe(name, words, with); });
}

int hooked_execvp(const char* name, char* const* words) {
  return hooked_execvpe(name, words, environ);
}

int hooked_fexecve(int fd, char* const* words, char* const* environment) {
  std::array<char, kRoomForDescriptor> path{};
  path_of(fd, path);
  return start_with(path.data(), words, environment,
                    [&](char* const* with) { return own.fexecve(fd, words, with); });
}

int hooked_execveat(int folder, const char* name, char* const* words, char* const* environment,
                    int flags) {
  const char* path = name;
  const std::size_t size = name != nullptr ? std::strlen(name) : 0;
  if (name != nullptr && *name != '/' && folder != AT_FDCWD && size < PATH_MAX) {
    std::array<char, kRoomForDescriptor> start{};
    const auto length = static_cast<std::size_t>(path_of(folder, start) - start.data());
    auto* const whole = static_cast<char*>(::alloca(length + size + 2));
    char* at = std::copy_n(start.data(), length, whole);
    if (size != 0) *at++ = '/';
    std::memcpy(at, name, size + 1);
    path = whole;
  }
  return start_with(path, words, environment, [&](char* const* with) {
    return static_cast<int>(own.syscall(SYS_execveat, folder, name, words, with, flags));
  });
}

long start_by_call(long number, const std::array<long, 5>& arguments) {
  const auto text = [&](std::size_t i) { return reinterpret_cast<const char*>(arguments[i]); };
  const auto list = [&](std::size_t i) { return reinterpret_cast<char* const*>(arguments[i]); };
  if (number == SYS_execve) return hooked_execve(text(0), list(1), list(2));
  return hooked_execveat(static_cast<int>(arguments[0]), text(1), list(2), list(3),
                         static_cast<int>(arguments[4]));
}

// The words of execl() and its kin: the first, and those that follow up to the null.
// NOLINTBEGIN(cert-dcl50-cpp,bugprone-macro-parentheses): variadic in C; names are declared
#define COREWISE_GATHER_WORDS(first, list, words)                                      \
  std::size_t count = 0;                                                               \
  va_list list;                                                                        \
  va_start(list, first);                                                               \
  for (const char* word = first; word != nullptr; word = va_arg(list, char*)) ++count; \
  va_end(list);                                                                        \
  auto** const words = static_cast<char**>(::alloca((count + 1) * sizeof(char*)));     \
  words[0] = const_cast<char*>(first);                                                 \
  va_start(list, first);                                                               \
  for (std::size_t i = 1; i <= count; ++i) words[i] = va_arg(list, char*)

int hooked_execl(const char* path, const char* first, ...) {
  COREWISE_GATHER_WORDS(first, list, words);
  va_end(list);
  return hooked_execv(path, words);
}

int hooked_execlp(const char* name, const char* first, ...) {
  COREWISE_GATHER_WORDS(first, list, words);
  va_end(list);
  return hooked_execvp(name, words);
}

int hooked_execle(const char* path, const char* first, ...) {
  COREWISE_GATHER_WORDS(first, list, words);
  char* const* const environment = va_arg(list, char* const*);
  va_end(list);
  return hooked_execve(path, words, environment);
}
#undef COREWISE_GATHER_WORDS
// NOLINTEND(cert-dcl50-cpp,bugprone-macro-parentheses)

int hooked_spawn(pid_t* pid, const char* path, const posix_spawn_file_actions_t* actions,
                 const posix_spawnattr_t* attributes, char* const* words,
                 char* const* environment) {
  const std::size_t room = room_for_folder(actions);
  const ChildFolder child = folder_after(actions, {static_cast<char*>(::alloca(room)), room});
  const bool is_here = child.folder.empty() || path == nullptr;
  const std::size_t whole = is_here ? 0 : child.folder.size() + std::strlen(path) + 2;
  const std::span seen(static_cast<char*>(::alloca(whole)), whole);
  return start_with(seen_from_here(path, child, seen), words, environment, [&](char* const* with) {
    return own.posix_spawn(pid, path, actions, attributes, words, with);
  });
}

int hooked_spawnp(pid_t* pid, const char* name, const posix_spawn_file_actions_t* actions,
                  const posix_spawnattr_t* attributes, char* const* words,
                  char* const* environment) {
  const std::size_t room = room_for_folder(actions);
  const ChildFolder child = folder_after(actions, {static_cast<char*>(::alloca(room)), room});
  const std::size_t longest = room_in_path(name, child);
  const std::span path(static_cast<char*>(::alloca(longest)), longest);
  return start_with(find_in_path(name, path, child), words, environment, [&](char* const* with) {
    return own.posix_spawnp(pid, name, actions, attributes, words, with);
  });
}

}  // namespace

std::vector<govern::GotRequest> hook_children(const char* library) {
  const std::size_t size = std::strlen(library);
  if (size == 0 || size >= own_name.size()) return {};
  std::memcpy(own_name.data(), library, size + 1);
  os::learn_own_loader();
  learn_file_actions();
  std::vector<govern::GotRequest> all;
  request_c_library(all, "execve", hooked_execve, &own.execve);
  request_c_library(all, "execv", hooked_execv);
  request_c_library(all, "execvpe", hooked_execvpe, &own.execvpe);
  request_c_library(all, "execvp", hooked_execvp);
  request_c_library(all, "fexecve", hooked_fexecve, &own.fexecve);
  request_c_library(all, "execveat", hooked_execveat);
  request_c_library(all, "execl", hooked_execl);
  request_c_library(all, "execlp", hooked_execlp);
  request_c_library(all, "execle", hooked_execle);
  request_c_library(all, "posix_spawn", hooked_spawn, &own.posix_spawn);
  request_c_library(all, "posix_spawnp", hooked_spawnp, &own.posix_spawnp);
  own.syscall = reinterpret_cast<decltype(own.syscall)>(os::c_library_function("syscall"));
  if (own.syscall != nullptr) govern::filters::hand_starts_to(start_by_call);
  return all;
}

}  // namespace corewise::agent
