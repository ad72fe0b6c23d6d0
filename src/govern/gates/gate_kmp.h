// The gate for programs compiled by Clang and Intel's compilers: __kmpc_fork_call of each copy of
// LLVM's libomp and Intel's libiomp5.
//
// A region that bends gets the smaller of its grant and what the program asks for: its num_threads
// clause, which the compiler pushes just before, or the calling thread's ICV. Any other region is
// only counted, and so is one whose clause is strict, or a list for nested levels. Regions that an
// `if` clause makes serial do not come here. gate_libgomp handles GOMP_parallel* of these runtimes.
#pragma once

#include <vector>

#include "gate_libgomp.h"

namespace corewise::govern::kmp {

using thread_caps::kMostCopies;

std::vector<GotRequest> got_requests(std::size_t copy, std::uint32_t pool,
                                     const libgomp::FunctionByName& symbol);

}  // namespace corewise::govern::kmp
