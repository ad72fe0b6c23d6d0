#include "file_actions.h"

#include <limits.h>
#include <spawn.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>

#include "os/os.h"

namespace corewise::agent {
namespace {

constexpr std::string_view kDescriptors = "/proc/self/fd/";

// What glibc keeps of the actions that posix_spawn() is to take in the child. It tells nobody, so
// we believe it only once it has shown that it keeps them so.
struct FileAction {
  int kind;
  union {
    int fd;
    const char* path;
  };
  std::array<std::uint64_t, 2> more;
};

constinit bool are_actions_known = false;
constinit int kind_chdir = -1;
constinit int kind_fchdir = -1;

const FileAction* first_of(const posix_spawn_file_actions_t& actions) noexcept {
  return reinterpret_cast<const FileAction*>(actions.__actions);
}

}  // namespace

void learn_file_actions() {
  using Add = int(posix_spawn_file_actions_t*, int);
  using AddPath = int(posix_spawn_file_actions_t*, const char*);
  auto* const add_fchdir =
      reinterpret_cast<Add*>(os::c_library_function("posix_spawn_file_actions_addfchdir_np"));
  auto* const add_chdir =
      reinterpret_cast<AddPath*>(os::c_library_function("posix_spawn_file_actions_addchdir_np"));
  if (add_fchdir == nullptr || add_chdir == nullptr) {
    are_actions_known = true;  // before glibc 2.29 no child changes its folder
    return;
  }
  posix_spawn_file_actions_t actions;
  if (::posix_spawn_file_actions_init(&actions) != 0) return;
  constexpr int kFirst = 2, kSecond = 1;  // lower than any limit
  if (add_fchdir(&actions, kFirst) == 0 && add_fchdir(&actions, kSecond) == 0 &&
      add_chdir(&actions, "/") == 0 && ::posix_spawn_file_actions_addclose(&actions, 0) == 0) {
    const FileAction* const kept = first_of(actions);
    // The numbers first: a path is to be followed only if they are where we expect them.
    are_actions_known = actions.__used == 4 && kept[0].fd == kFirst && kept[1].fd == kSecond &&
                        kept[0].kind == kept[1].kind && kept[2].kind != kept[0].kind &&
                        kept[3].kind != kept[0].kind && kept[3].kind != kept[2].kind &&
                        kept[2].path != nullptr && std::strcmp(kept[2].path, "/") == 0;
    if (are_actions_known) {
      kind_fchdir = kept[0].kind;
      kind_chdir = kept[2].kind;
    }
  }
  ::posix_spawn_file_actions_destroy(&actions);
}

std::size_t room_for_folder(const posix_spawn_file_actions_t* actions) noexcept {
  if (actions == nullptr || kind_chdir < 0) return 0;
  std::size_t room = kRoomForDescriptor;
  for (int i = 0; i < actions->__used; ++i) {
    const FileAction& action = first_of(*actions)[i];
    if (action.kind == kind_chdir) room += std::strlen(action.path) + 1;
  }
  return std::min<std::size_t>(room, PATH_MAX);
}

ChildFolder folder_after(const posix_spawn_file_actions_t* actions, std::span<char> room) noexcept {
  if (actions == nullptr || actions->__used == 0) return {};
  if (!are_actions_known) return {{}, false};
  std::size_t size = 0;
  bool has_other_descriptors = false;
  for (int i = 0; i < actions->__used; ++i) {
    const FileAction& action = first_of(*actions)[i];
    if (action.kind == kind_chdir) {
      const std::string_view path = action.path;
      if (path.starts_with('/')) size = 0;
      if (size + path.size() + 1 > room.size()) return {{}, false};
      if (size != 0) room[size++] = '/';
      std::ranges::copy(path, room.begin() + static_cast<std::ptrdiff_t>(size));
      size += path.size();
    } else if (action.kind == kind_fchdir) {
      if (has_other_descriptors || room.size() < kRoomForDescriptor) return {{}, false};
      const char* const end = path_of(action.fd, room.first<kRoomForDescriptor>());
      size = static_cast<std::size_t>(end - room.data());
    } else {
      has_other_descriptors = true;
    }
  }
  return {{room.data(), size}, true};
}

char* path_of(int fd, std::span<char, kRoomForDescriptor> path) noexcept {
  char* const digits = std::copy(kDescriptors.begin(), kDescriptors.end(), path.data());
  return std::to_chars(digits, path.data() + path.size() - 1, fd).ptr;
}

}  // namespace corewise::agent
