// The libraries that are proven to bend.
#pragma once

#include <span>
#include <string_view>

namespace corewise::govern {

// How closely results from a smaller team match those from a whole one.
enum class Same { kToTheBit, kToRounding };

// We recognise a library by its contents, and trust it only if it was installed as this module in a
// version that was tried. Anything else is whole.
struct BendRow {
  std::string_view library;   // as people call it
  std::string_view module;    // the full name that Python gives it
  std::string_view symbol;    // one that it exports
  std::string_view constant;  // in its memory, and in no other library that has the symbol
  std::string_view metadata;  // the NAME of its NAME-VERSION.dist-info
  std::span<const std::string_view> versions;  // those that were tried
  Same same;
};

std::span<const BendRow> bend_table();

}  // namespace corewise::govern
