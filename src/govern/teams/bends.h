// Which regions bend: those that give the same results, to rounding, from a smaller team than the
// one they ask for. Every other region is whole.
//
// No call or variable of OpenMP says so; it is a property of a library's code. So it takes a proof,
// a row of bend_table.cpp for this version of the library, or the word of the user: COREWISE_BEND
// names libraries between colons (bend_name.h). COREWISE_EXACT_TEAMS names, by a part of their
// path, such that never bend, and wins. Where COREWISE_TRY_BEND is set, as `corewise run
// --try-bend` has it, those it names bend, and nothing else.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "govern/patch/code_ranges.h"

namespace corewise::govern {

// Whether the region whose function this is bends. For hooks: takes no lock.
bool bends(std::uintptr_t function);

// A loaded library whose regions bend.
struct Bending {
  std::string path;
  std::string why;  // the row's library and its version, or the variable that names it
  std::vector<std::string> names;  // in that variable; none where a row speaks for it
  CodeRange code;
};

// The sizes of teams that gate::Counts holds, from the smallest; and in words: "2, 4 and 8", many
// of them as "2 to 16".
std::vector<int> team_sizes(std::uint64_t bits);
std::string team_sizes_in_words(std::uint64_t bits);

// Looks at the modules that were loaded or unloaded since the last time. Not at the same time as
// itself.
void find_bending();

// As of the last find_bending(); takes no lock. What it refers to stays, so that a signal handler
// may read it.
std::span<const Bending> bending_now();

// Of the same look: names in the variable that no library loaded so far has, and what to say of
// one. Under `corewise run` only the command line can say it, which knows every process.
std::vector<std::string> unmatched_bends();
std::string unmatched_finding(const std::string& name);

}  // namespace corewise::govern
