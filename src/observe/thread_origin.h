// The function in which each thread of this process began: the one that pthread_create got. It says
// which library a thread belongs to, since the workers of a pool begin in the pool's own code.
//
// glibc keeps it, with the thread's id, in the block that the pthread_t points to, and links all
// blocks in a list. A thread of our own, whose id and function we know, finds out where in the
// block, so we assume no version. We read the other blocks through /proc/self/mem, which fails if a
// block is gone by now, and count them only if their id is that of a live thread. If anything is
// not as expected, we know nothing.
//
// A std::thread begins in libstdc++, which many libraries share. Its argument is an object of the
// library that made the thread, and begins with the address of the class's table: we say that one.
#pragma once

#include <cstdint>
#include <unordered_map>

namespace corewise::observe {

// An address in the module that each thread belongs to, by thread id, without the main thread and
// threads on stacks that the program brought along. One caller at a time.
std::unordered_map<int, std::uintptr_t> thread_origins();

}  // namespace corewise::observe
