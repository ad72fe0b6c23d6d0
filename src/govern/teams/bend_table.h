// The libraries that are proven to bend.
#pragma once

#include <span>
#include <string_view>

namespace corewise::govern {

// What results from a smaller team have in common with those from a whole one.
enum class Same { kToTheBit, kToRounding };

// A library is recognised by what it holds, and believed only where it was installed as this
// module, in versions that were tried. What is not recognised is whole.
struct BendRow {
  std::string_view library;   // as people call it
  std::string_view module;    // the full name that Python gives it
  std::string_view symbol;    // that it exports
  std::string_view constant;  // that stands in its memory, and in no other that has the symbol
  std::string_view metadata;  // what its NAME-VERSION.dist-info is called
  std::span<const std::string_view> versions;  // that were tried
  Same same;
};

std::span<const BendRow> bend_table();

}  // namespace corewise::govern
