// What is loaded in this process: its modules, and the pools among them.
//
// Pools are only ever added, and a recognised runtime stays loaded, so a Pool pointer is good until
// the process ends and reading the list takes no lock. While nothing is loaded, a call costs one
// comparison of the loader's counters, and the read of one byte for each library that the program
// has not used yet. We do not call such a library; it tells more once the program has used it.
#pragma once

#include <cstddef>
#include <vector>

#include "os/os.h"
#include "pool.h"

namespace corewise {

// More than we have seen any process hold; we do not describe modules beyond it.
inline constexpr std::size_t kMostPools = 1024;

// True if this call added pools. The caller must hold no lock but govern's (govern.cpp says why):
// discover() takes the loader's lock and calls into new libraries.
bool discover();

std::size_t pool_count();
Pool& pool_at(std::size_t id);

// The OpenMP runtime whose count this pool uses, if it is another: OpenBLAS over OpenMP has none of
// its own. Of the first `count` pools: more may come at any moment. Null if there is none.
Pool* openmp_below(const Pool& pool, std::size_t count = pool_count());

// The pool with everything that its library tells, for a caller that is about to set it: may make
// the first call to the library. The caller must hold no lock but govern's.
Pool& pool_asked(std::size_t id);

// Modules in load order, as of now.
std::vector<os::LoadedModule> modules();

}  // namespace corewise
