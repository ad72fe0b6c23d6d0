// Libraries over OpenMP whose threads wait for one another by number (OpenBLAS, BLIS): with a
// smaller team than they asked for they would wait for ever. Their regions are counted, and never
// made smaller.
#pragma once

#include "code_ranges.h"

namespace corewise::govern {

inline constinit CodeRanges exact_teams;

}  // namespace corewise::govern
