// Text in columns of a terminal.
#pragma once

#include <string>
#include <vector>

#include "shell/output.h"

namespace corewise::cli {

// Adds spaces, so that the text takes at least `width` columns.
std::string padded(const std::string& text, int width, bool right = false);

// Leaves out the middle of a text, so that it takes at most `width` columns.
std::string shortened(const std::string& text, int width, bool unicode);

// Leaves out the end, so that the text takes at most `width` columns.
std::string cut_off(const std::string& text, int width, bool unicode);

struct Column {
  std::string head;
  bool right = false;
};

// A header and rows, none wider than the style allows unless a single word is. The last column
// wraps in the room that the others leave, or on lines of its own if a word does not fit there.
std::string table(const std::vector<Column>& columns,
                  const std::vector<std::vector<std::string>>& rows, const Style& style);

}  // namespace corewise::cli
