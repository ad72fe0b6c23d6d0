// Which regions bend: those that give the same results, to rounding, from a smaller team than the
// one they ask for. Every other region is whole.
//
// No call or variable of OpenMP says so; it is a property of a library's code. So it takes a proof,
// a row of bend_table.cpp for this version of the library, or the word of the user: COREWISE_BEND
// names libraries between colons by a part of their path. COREWISE_EXACT_TEAMS names such that
// never bend, and wins. Where COREWISE_TRY_BEND is set, as `corewise run --try-bend` has it, those
// it names bend, and nothing else.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace corewise::govern {

// Whether the region whose function this is bends. For hooks: takes no lock.
bool bends(std::uintptr_t function);

// A loaded library whose regions bend.
struct Bending {
  std::string path;
  std::string why;  // the row's library and its version, or the variable that names it
};

// Looks at the modules that were loaded or unloaded since the last time. Not at the same time as
// itself.
void find_bending();

// As of the last find_bending(); under the lock of its caller.
std::vector<Bending> bending_now();

// Of the same look: names in the variable that are in no loaded library's path, and what to say of
// one. Under `corewise run` only the command line can say it, which knows every process.
std::vector<std::string> unmatched_bends();
std::string unmatched_finding(const std::string& name);

}  // namespace corewise::govern
