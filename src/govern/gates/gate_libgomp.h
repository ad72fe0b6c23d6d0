// The gate for programs compiled by GCC: every GOMP_parallel* entry, of each copy of libgomp, and
// of LLVM's runtimes where they stand in for it.
//
// A region that bends gets the smaller of what it asks for and its grant; any other is only
// counted, and the runtime gets the program's own number. A region of one thread (an `if` clause
// that is false) passes untouched. GOMP_teams_reg runs its teams one after the other, and the
// regions of each come here on their own.
#pragma once

#include <cstddef>
#include <vector>

#include "govern/patch/hook.h"
#include "govern/teams/thread_caps.h"

namespace corewise::govern::libgomp {

using thread_caps::kMostCopies;

// How many threads may be in GOMP_parallel_start regions at once with workers that know of it.
inline constexpr std::size_t kMostOpenRegions = 128;

// The address of a function of the runtime's module; null if it has none of that name.
using thread_caps::FunctionByName;

// The GOT entries through which modules call copy number `copy` of the runtime, which is pool
// number `pool`. A second call for a copy returns the same.
std::vector<GotRequest> got_requests(std::size_t copy, std::uint32_t pool,
                                     const FunctionByName& symbol);

}  // namespace corewise::govern::libgomp
