// In which folder a child of posix_spawn() is when it looks for its program: the actions that it
// takes first may lead to another than this process's.
#pragma once

#include <spawn.h>

#include <cstddef>
#include <span>
#include <string_view>

namespace corewise::agent {

constexpr std::size_t kRoomForDescriptor = 32;

// Writes the path of a descriptor, and returns its end.
char* path_of(int fd, std::span<char, kRoomForDescriptor> path) noexcept;

// The folder from which a child will see relative paths.
struct ChildFolder {
  std::string_view folder;  // empty: that of this process
  bool is_known = true;
};

// Call once before the others.
void learn_file_actions();

// The room that folder_after() needs.
std::size_t room_for_folder(const posix_spawn_file_actions_t* actions) noexcept;
ChildFolder folder_after(const posix_spawn_file_actions_t* actions, std::span<char> room) noexcept;

}  // namespace corewise::agent
