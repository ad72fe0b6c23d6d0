// The libraries that are proven to bend.
#pragma once

#include <span>
#include <string_view>

namespace corewise::govern {

// A library is recognised by what it holds, not by its file's name: a symbol that it exports and,
// where others might export it too, a constant of its own. What is not recognised is whole.
struct BendRow {
  std::string_view library;   // as people call it
  std::string_view symbol;    // that it exports
  std::string_view constant;  // that stands in its memory; empty: the symbol is enough
};

std::span<const BendRow> bend_table();

}  // namespace corewise::govern
