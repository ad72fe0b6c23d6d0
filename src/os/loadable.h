// Whether the dynamic loader can put this library into a program, read from the program's file.
// Nothing here allocates, locks or needs much stack: a child looks between fork and exec, where it
// may share its parent's memory.
#pragma once

#include <array>
#include <cstddef>

namespace corewise::os {

enum class Obstacle {
  none,
  other_machine,  // another kind of processor, or another word size
  no_loader,      // statically linked
  other_library,  // made for another C library
  sanitizer,      // AddressSanitizer's library is to be loaded before all others
};

// What the kernel starts in the end where it is given a path.
struct Started {
  // As many bytes as the kernel reads of a script's first line.
  static constexpr std::size_t kLine = 256;

  Obstacle obstacle = Obstacle::none;
  bool is_program = false;                // the file at the path itself is one, not a script
  std::array<char, kLine> interpreter{};  // that runs the script; empty: no script, or not found
  std::array<char, kLine> loader{};       // the dynamic loader that the program asks for
};

// Once, before look_at_file(): learns this process's own loader.
void prepare_to_look();

// A file that cannot be read is taken for an ordinary program. What is neither a program nor a
// script is the shell's, as execvp() has it.
void look_at_file(const char* path, Started& found) noexcept;

}  // namespace corewise::os
