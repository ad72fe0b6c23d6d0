// What is loaded in this process: its modules, and the pools among them.
//
// Pools are only ever added, and a recognised runtime is kept loaded, so a Pool pointer once seen
// is good until the process ends and reading the list takes no lock. A look costs one comparison
// of the loader's counters while nothing was loaded, and one byte for each library that the program
// has not used yet: those are not called, and say more of themselves once they are used.
#pragma once

#include <cstddef>
#include <vector>

#include "os/os.h"
#include "pool.h"

namespace corewise {

// More than any process was seen to hold; modules past it are not described.
inline constexpr std::size_t kMostPools = 1024;

// True if pools were added since the last call by anyone. No lock may be held: it takes the
// loader's lock and calls into new libraries.
bool discover();

std::size_t pool_count();
Pool& pool_at(std::size_t id);

// The pool with all that its library tells of itself, for who is going to set it: may be the first
// to call the library. No lock may be held.
Pool& pool_asked(std::size_t id);

// Modules in load order, as of now.
std::vector<os::LoadedModule> modules();

}  // namespace corewise
