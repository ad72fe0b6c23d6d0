// A user's cap on an OpenMP runtime, for whole regions: it does what omp_set_num_threads would do
// in each thread, no more. A region with a num_threads clause keeps its size, and a count that the
// program sets after the cap came holds.
//
// Each thread has a count of its own, so the thread itself lowers it, outside all regions: when it
// asks for its count, or at its next region without a clause. A thread that asked for its count, or
// set it, before the cap came may have divided its work by it: its next region is left as it is.
//
// Nothing here allocates, locks or waits.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>

namespace corewise::govern::thread_caps {

inline constexpr std::size_t kMostCopies = 8;

// A function of the runtime by its name; null if it has none.
using FunctionByName = std::function<void*(const char* name)>;

// Adds copy number `copy` of the runtimes, pool number `pool`. Call before its first hook runs.
void add(std::size_t copy, std::uint32_t pool, const FunctionByName& symbol);

// The calling thread is about to ask this function for its count.
void before_count(const void* getter);

// The program has set the calling thread's count with this function.
void after_set(const void* setter);

// The calling thread starts a region without a clause, in this copy.
void before_region(std::size_t copy);

// Whether a thread's count is lowered, or was when the thread ended: hooks must stay to restore it.
bool in_use();

}  // namespace corewise::govern::thread_caps
