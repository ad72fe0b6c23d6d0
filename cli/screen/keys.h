// What a terminal sends for the keys of a keyboard.
#pragma once

#include <string_view>

namespace corewise::cli {

struct Key {
  enum class Kind { character, up, down, page_up, page_down, home, end, escape, other };
  Kind kind = Kind::other;
  char character = '\0';
};

// Takes the next key off the front of `bytes`, which holds at least one. Takes an unknown sequence
// whole, so that its letters do not count as keys.
Key next_key(std::string_view& bytes);

}  // namespace corewise::cli
