// Who takes OpenBLAS's slots (its memory.c and blas_server.c): each call from its start to its end,
// and each worker from its start on, even if the pool is made smaller later. The plan and the
// doctor share this one rule. Also what happens to a call that finds no slot.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>

namespace corewise {

// What OpenBLAS adds, with a warning, when a call finds all slots taken.
inline constexpr int kSpareSlots = 512;

// What the spare slots are worth. In no version are they 512 more for calls at the same time.
enum class Spares {
  kNone,       // there are no spare slots: the call gets no memory, and faults
  kServeOnce,  // each serves one call in the life of the process; the next gets no memory
  kOverwrite,  // each call is recorded behind the one before; the 513th past the table's end
};

// For a version as openblas_get_config() has it, "0.3.31.188.0". Unknown versions get kOverwrite,
// which all wheels since NumPy 1.26 and SciPy 1.12 have.
Spares spares_of(std::string_view version);

// "A call that finds none ..., and the process dies": the consequence, in a sentence.
std::string past_the_slots(Spares spares);

// How many threads may call a copy with `slots` slots at once without a warning. At least 1, since
// we cannot refuse a caller.
inline int callers_that_fit(int slots, int workers) { return std::max(1, slots - workers); }

}  // namespace corewise
