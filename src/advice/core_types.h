// OpenBLAS's core types: for each it has a set of kernels, by the instructions that they use.
//
// Which set a build picks among those of one level depends on how it was built (the wheels have no
// Cooperlake); the level does not.
#pragma once

#include <string>
#include <string_view>

#include "os/machine.h"

namespace corewise {

// From 1 (SSE3 and older) to 5 (AVX-512); the case of letters does not matter, as in
// OPENBLAS_CORETYPE. 0: not a known name.
int core_type_level(std::string_view name);

// One of the highest level that this CPU can run; empty if that is not known (not x86-64).
std::string best_core_type(const os::Machine& machine);

}  // namespace corewise
