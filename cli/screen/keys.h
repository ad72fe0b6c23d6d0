// What a terminal sends for the keys of a keyboard.
#pragma once

#include <string_view>

namespace corewise::cli {

struct Key {
  enum class Kind { character, up, down, page_up, page_down, home, end, escape, other };
  Kind kind = Kind::other;
  char character = '\0';
};

// Takes the next key off the front of `bytes`, which holds one at least. Sequences that mean none
// of the keys above are taken whole, so that their letters are not taken for keys.
Key next_key(std::string_view& bytes);

}  // namespace corewise::cli
