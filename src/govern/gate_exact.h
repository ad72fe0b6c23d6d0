// Regions that must have as many threads as they ask for. They are counted, and never made smaller.
//
// OpenBLAS and BLIS over OpenMP: their threads wait for one another by number, so with a smaller
// team they would wait for ever. Others take a num_threads clause for the promise that OpenMP says
// it is: oneDNN's threads wait likewise, MKL divides its work beforehand, and scikit-learn's
// nearest neighbours read, for each thread asked for, what that thread was to write.
#pragma once

#include <cstdint>
#include <string>

#include "code_ranges.h"

namespace corewise::govern {

inline constinit CodeRanges exact_teams;
inline constinit CodeRanges exact_clauses;

// Whether the region whose function this is keeps its team.
inline bool is_exact(std::uintptr_t function, bool by_clause) {
  return exact_teams.holds(function) || (by_clause && exact_clauses.holds(function));
}

// Adds the modules that are known to take the clause for a promise, and those whose path holds one
// of the names in COREWISE_EXACT_TEAMS (between colons), as far as they came since the last time.
// Not at the same time as itself. Empty, or the finding that there is no room for one.
std::string find_exact_clauses();

}  // namespace corewise::govern
