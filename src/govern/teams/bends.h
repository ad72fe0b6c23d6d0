// Which regions bend: those that give the same results, to rounding, from a smaller team than the
// one they ask for. Every other region is whole.
//
// No OpenMP call or variable says so; it is a property of a library's code. So it takes a proof, a
// row of bend_table.cpp for this version of the library, or the user's word: COREWISE_BEND names
// libraries, separated by colons (bend_name.h). COREWISE_EXACT_TEAMS names libraries that never
// bend, by a part of their path, and wins. If COREWISE_TRY_BEND is set, as `corewise run
// --try-bend` does, only the libraries that it names bend.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "govern/patch/code_ranges.h"

namespace corewise::govern {

// Whether a region with this function bends. Takes no lock, so hooks may call it.
bool bends(std::uintptr_t function);

// A loaded library whose regions bend.
struct Bending {
  std::string path;
  std::string why;  // the row's library and its version, or the variable that names it
  std::vector<std::string> names;  // in that variable; empty if a row decides
  CodeRange code;
};

// The team sizes in a word of gate::Tally, smallest first; and in words: "2, 4 and 8", or for many
// "2 to 16".
std::vector<int> team_sizes(std::uint64_t bits);
std::string team_sizes_in_words(std::uint64_t bits);

// Checks the modules that were loaded or unloaded since the last time. One caller at a time.
void find_bending();

// As of the last find_bending(); takes no lock. The data lives for good, so a signal handler may
// read it.
std::span<const Bending> bending_now();

// From the same pass: names in the variable that match no library loaded so far, and the sentence
// for one. Under `corewise run` only the command line can say it, because it knows every process.
std::vector<std::string> unmatched_bends();
std::string unmatched_finding(const std::string& name);

}  // namespace corewise::govern
