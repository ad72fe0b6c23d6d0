// After a fork, libgomp's workers are not in the child, but the thread that forked still has the
// pool in which it kept them. Its next region there waits for them forever (GCC's PR 58378). So a
// governed child drops the pool: to libgomp the thread has had no region yet, and its next region
// starts new workers. Everything else that libgomp keeps for the thread stays, such as its counts.
//
// The pool is a word among libgomp's thread-local variables. We accept a word only if it leads to
// an array of two threads or more, of which one is this thread itself or has the very same word
// among its own variables. If no word does, we change nothing.
//
// If the thread that forked governs the child only later, it does the same then, provided that none
// of the pool's workers is among the child's threads.
//
// The code that runs at a fork and at regions neither allocates, locks nor waits.
#pragma once

#include <cstddef>
#include <cstdint>

#include "govern/teams/thread_caps.h"

namespace corewise::govern::dead_workers {

using thread_caps::kMostCopies;

// Watches copy number `index` of libgomp, the module at this base. Call before its first hook runs,
// and not from a hook. `level`: its omp_get_level; null: children are left as they are.
void watch(std::size_t index, std::uintptr_t base, int (*level)());

// A thread that forked inside a region keeps its pool until it is outside. It may be outside now:
// it starts another region.
void before_region(std::size_t index);

}  // namespace corewise::govern::dead_workers
