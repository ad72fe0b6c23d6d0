// A person's cap on an OpenMP runtime, for regions that are whole: it does what omp_set_num_threads
// would do in each thread, no more. A region with a num_threads clause keeps its size.
//
// The count belongs to each thread, so that the thread itself sets it: when it asks for its count,
// or at its next outermost region without a clause. A thread that has asked before the cap came may
// have divided its work by the answer: its next region is left as it is.
//
// Nothing here allocates, locks or waits.
#pragma once

#include <cstddef>
#include <cstdint>

namespace corewise::govern::thread_caps {

inline constexpr std::size_t kMostCopies = 8;

// Copy number `copy` of the runtimes, which is pool number `pool`. Before its first hook runs.
void add(std::size_t copy, std::uint32_t pool, int (*max_threads)(), void (*set_threads)(int));

// The calling thread is about to ask this function for its count.
void before_count(const void* max_threads);

// The calling thread starts an outermost region without a clause, in this copy.
void before_region(std::size_t copy);

// Whether a thread goes by a cap, or did when it ended: hooks must stay for it to be put back.
bool in_use();

}  // namespace corewise::govern::thread_caps
