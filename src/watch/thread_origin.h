// In which function each thread of this process began: what pthread_create was told. It says which
// library a thread belongs to, since the workers of a pool begin in the pool's own code.
//
// glibc keeps that, with the thread's id, in the block that its pthread_t points to, and all blocks
// in a list. Where in the block is found out by a thread of ours, whose id and function are known,
// so that no version is assumed. Others are read through /proc/self/mem, which fails where a block
// is gone by now, and count only if their id is that of a live thread. Where any of it is not as
// expected, nothing is known.
#pragma once

#include <cstdint>
#include <unordered_map>

namespace corewise::observe {

// By thread id. The main thread, and threads on stacks that the program brought along, are not
// there. One caller at a time.
std::unordered_map<int, std::uintptr_t> thread_origins();

}  // namespace corewise::observe
