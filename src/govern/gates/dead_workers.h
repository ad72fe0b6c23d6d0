// After a fork: libgomp's workers are not in the child, but the thread that forked still has the
// pool in which it kept them. Its next region there waits for them for ever (GCC's PR 58378). So a
// governed child lets the pool go: the thread then is as one that has had no region yet, and its
// next region starts workers of its own. All else that libgomp keeps for it stays, as its counts.
//
// The pool is a word among libgomp's thread-local variables. It is believed to be that only if it
// leads where it must: to an array of two threads or more, of which one is this thread itself or
// has the very same word among its own variables. If no word does, nothing is changed.
//
// A child that is governed only later, by the thread that forked, does the same then, if none of
// the pool's workers is among its threads.
//
// What runs at a fork and at regions allocates nothing, locks nothing and waits for nothing.
#pragma once

#include <cstddef>
#include <cstdint>

namespace corewise::govern::dead_workers {

inline constexpr std::size_t kMostCopies = 8;

// Copy number `index` of libgomp, the module with this base, before the first of its hooks runs.
// Not from a hook. `level`: its omp_get_level; null: children are left as they are.
void watch(std::size_t index, std::uintptr_t base, int (*level)());

// A thread that was inside a region when it forked keeps its pool until it is outside. It may be
// now: it starts another region.
void before_region(std::size_t index);

}  // namespace corewise::govern::dead_workers
