// Text in columns of a terminal.
#pragma once

#include <string>
#include <vector>

#include "shell/output.h"

namespace corewise::cli {

// With spaces, so that it takes at least `width` columns.
std::string padded(const std::string& text, int width, bool right = false);

// Words in lines of at most `width` columns. The first begins at `first_column`, the others after
// `indent` spaces.
std::string folded(const std::string& text, int first_column, int indent, int width);

// The middle of a text left out, so that it takes at most `width` columns.
std::string shortened(const std::string& text, int width, bool unicode);

// The end left out, so that it takes at most `width` columns.
std::string cut_off(const std::string& text, int width, bool unicode);

struct Column {
  std::string head;
  bool right = false;
};

// Rows below heads, none wider than the style allows as far as the words permit: the last column is
// folded in the room that the others leave, or on lines of its own where that is too little.
std::string table(const std::vector<Column>& columns,
                  const std::vector<std::vector<std::string>>& rows, const Style& style);

}  // namespace corewise::cli
