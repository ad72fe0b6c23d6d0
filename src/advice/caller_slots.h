// Who takes OpenBLAS's slots (its memory.c and blas_server.c): each call from its start to its end,
// and each worker from its start on, also when the pool is made smaller later. The plan and the
// doctor judge by this one rule. And what becomes of a call that finds none.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>

namespace corewise {

// What OpenBLAS adds, with a warning, when a call finds all slots taken.
inline constexpr int kSpareSlots = 512;

// What the spare slots are worth. In no version are they 512 more for calls at the same time.
enum class Spares {
  kNone,       // there are none: the call gets no memory, and faults
  kServeOnce,  // each serves one call in the life of the process; the next gets no memory
  kOverwrite,  // each call is written down behind the one before; the 513th past the table's end
};

// Of a version as openblas_get_config() has it, "0.3.31.188.0". Of unknown ones kOverwrite, which
// all wheels since NumPy 1.26 and SciPy 1.12 have.
Spares spares_of(std::string_view version);

// "A call that finds none ..., and the process dies": what follows from that, in a sentence.
std::string past_the_slots(Spares spares);

// Threads that may call a copy with so many slots at once without a warning. At least 1, since a
// caller cannot be refused.
inline int callers_that_fit(int slots, int workers) { return std::max(1, slots - workers); }

}  // namespace corewise
