// Who takes OpenBLAS's slots (its memory.c and blas_server.c): each call from its start to its end,
// and each worker from its start on, also when the pool is made smaller later. The plan and the
// doctor judge by this one rule.
#pragma once

#include <algorithm>

namespace corewise {

// What OpenBLAS adds, with a warning, when all slots are taken; past these it has no memory to
// give.
inline constexpr int kReserveSlots = 512;

// Threads that may call a copy with so many slots at once without a warning. At least 1, since a
// caller cannot be refused.
inline int callers_that_fit(int slots, int workers) { return std::max(1, slots - workers); }

}  // namespace corewise
