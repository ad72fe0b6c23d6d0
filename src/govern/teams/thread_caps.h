// A person's cap on an OpenMP runtime, for regions that are whole: it does what omp_set_num_threads
// would do in each thread, no more. A region with a num_threads clause keeps its size, and what the
// program sets after the cap came holds.
//
// The count belongs to each thread, so that the thread itself sets it, outside of all regions: when
// it asks for its count, or at its next region without a clause. A thread that has asked for its
// count, or set it, before the cap came may have divided its work by that: its next region is left
// as it is.
//
// Nothing here allocates, locks or waits.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>

namespace corewise::govern::thread_caps {

inline constexpr std::size_t kMostCopies = 8;

// A function of the runtime by its name; null if it has none.
using Symbol = std::function<void*(const char* name)>;

// Copy number `copy` of the runtimes, which is pool number `pool`. Before its first hook runs.
void add(std::size_t copy, std::uint32_t pool, const Symbol& symbol);

// The calling thread is about to ask this function for its count.
void before_count(const void* getter);

// The program has set the calling thread's count by this function.
void after_set(const void* setter);

// The calling thread starts a region without a clause, in this copy.
void before_region(std::size_t copy);

// Whether a thread goes by a cap, or did when it ended: hooks must stay for it to be put back.
bool in_use();

}  // namespace corewise::govern::thread_caps
