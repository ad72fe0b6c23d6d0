// The gate for programs compiled by Clang and Intel's compilers: __kmpc_fork_call of each copy of
// LLVM's libomp and Intel's libiomp5.
//
// The region gets the smaller of its grant and what the program asks for: its num_threads clause,
// which the compiler pushes just before, or the calling thread's ICV. A clause that is strict, or a
// list for nested levels, is left as it is. Regions that an `if` clause makes serial do not come
// here. GOMP_parallel* of these runtimes is gate_libgomp's.
#pragma once

#include <vector>

#include "gate_libgomp.h"

namespace corewise::govern::kmp {

inline constexpr std::size_t kMostCopies = 8;

std::vector<SlotRequest> slot_requests(std::size_t copy, std::uint32_t pool,
                                       const libgomp::Symbol& symbol);

}  // namespace corewise::govern::kmp
