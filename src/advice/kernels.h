// OpenBLAS's kernel sets, by the instructions that they are written in.
//
// Which set a build picks among those of one level depends on how it was built (the wheels have no
// Cooperlake); the level does not.
#pragma once

#include <string>
#include <string_view>

#include "os/machine.h"

namespace corewise {

// 1: SSE3 and older, to 5: AVX-512; letters of either case, as OPENBLAS_CORETYPE takes them. 0: not
// a known name.
int kernel_level(std::string_view name);

// A set of the highest level that this CPU can run; empty where that is not known (not x86-64).
std::string best_kernels(const os::Machine& machine);

}  // namespace corewise
