// Whether the dynamic loader can put a library into a program, read from the files of both.
// Nothing here allocates, locks or needs much stack: a child calls it between fork and exec, where
// it may share its parent's memory.
#pragma once

#include <array>
#include <cstddef>

namespace corewise::os {

enum class Obstacle {
  none,
  other_machine,  // another kind of processor, or another word size
  no_loader,      // statically linked
  other_library,  // made for another C library
  other_loader,   // the program is itself a dynamic loader, and not this process's
  sanitizer,      // AddressSanitizer's library must be loaded before all others
  msan,           // MemorySanitizer takes what other libraries write for uninitialised
  no_library,     // nobody finds this library by its path, or may read it there: in another root,
                  // as another user, or after it was removed
  older_library,  // the C library of the program's loader lacks versions that ours needs
};

// What the kernel ends up starting when it is given a path.
struct Started {
  // The kernel reads this many bytes of a script's first line.
  static constexpr std::size_t kLine = 256;

  Obstacle obstacle = Obstacle::none;
  bool is_program = false;                // the file at the path is a program, not a script
  std::array<char, kLine> interpreter{};  // runs the script; empty: not a script, or not found
  std::array<char, kLine> loader{};       // the dynamic loader that the program asks for
};

// Call once before find_obstacle(): it compares with this process's own loader.
void learn_own_loader();

// What exec is given: `words` ends with a null, and its first word is the program's name. Where the
// path is that of this process's own loader, the words say which program it loads. Takes a file
// that it cannot read for an ordinary program. The interpreter of a file that is neither a program
// nor a script is the shell, as in execvp(). `library`: the path of the library to load; null where
// it is not known, and then only the program is looked at.
void find_obstacle(const char* path, const char* const* words, const char* library,
                   Started& found) noexcept;

}  // namespace corewise::os
