// One pool of threads for every OpenBLAS in the process, through its threads callback, in place of
// one pool each that spin against one another.
//
// A call brings jobs that wait for each other, so it starts only when all of them can run at once:
// it takes what it needs (tickets, then numbers) in one step or waits holding nothing of that kind.
// Each job carries a number that no other running job of its copy has, as OpenBLAS keeps a buffer
// per number. Numbers are given from the top, because the copy's own workers, which LU still uses,
// go by the bottom ones.
//
// A thread without work spins only while nobody else wants its core, and at most some 20
// microseconds; then it sleeps. Nothing on the path of a call allocates, locks or prints, but for
// the thread that is created when all others are busy. Threads stay until the process ends.
#pragma once

#include <cstddef>

namespace corewise::govern::shared_pool {

// As OpenBLAS declares them (cblas.h).
using Job = void(int number, void* jobs, int data);
using Dispatch = void(int sync, Job* job, int count, std::size_t size, void* jobs, int data);

inline constexpr std::size_t kMostCopies = 8;
inline constexpr int kMostNumbers = 512;

// What a copy of OpenBLAS that keeps buffers for `numbers` threads is to call. Each call takes one
// of kMostCopies places for good; null if there is none left.
Dispatch* dispatch_for(int numbers);

// For tests and reports.
int threads();

}  // namespace corewise::govern::shared_pool
