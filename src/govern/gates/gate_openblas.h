// The gate for OpenBLAS: each call that takes a work buffer passes through it, and finds its grant
// in the library's count of threads (blas_cpu_number, one for the process).
//
// The governor only lowers. What the program sets stays the upper bound, and the program reads what
// it set: setter and getter are replaced at their entry and handle the program's number, which the
// library gets back whenever no thread is inside. If they cannot be replaced, calls are only
// counted.
//
// OpenBLAS reads the count a few instructions after it takes the buffer. A caller on another thread
// may store its own in between: then one call runs with the other's grant. Vector routines take no
// buffer and run with whatever the count holds: one thread while a governed OpenMP team runs.
//
// A copy over OpenMP has no count of its own: its calls read their grant in their OpenMP runtime's
// answer to omp_get_max_threads, and its teams are never made smaller (govern/teams/bends.h).
#pragma once

#include <string>
#include <vector>

#include "govern/openblas_buffers/openblas_buffers.h"
#include "govern/patch/hook.h"
#include "pools/pool.h"

namespace corewise::govern::openblas {

// Call it when a program becomes governed, before it sets variables for its libraries: later nobody
// can tell a framework's default from what the user set. `most`: what a call can be granted.
void begin(int most);

// Starts to govern the copy in `pool`, which has our buffers as `served`. `reason` is empty, or
// what is not as it should be; `governed` says whether it is governed all the same.
struct Attached {
  bool governed = false;
  std::string reason;
};
Attached attach(const Pool& pool, const openblas_buffers::CopyReport& served);

// Call it when the caps of pools have changed: vector routines run with what the count holds while
// no thread is inside.
void obey_caps();

// Gives all copies their functions and the program's number back. Returns what cannot be undone.
std::vector<std::string> detach_all();

// The listener that openblas_buffers tells about calls.
const openblas_buffers::Listener& listener();

// The GOT entries of OpenMP's getters and setters of a thread count, for copies over OpenMP and
// caps.
std::vector<GotRequest> got_requests();

}  // namespace corewise::govern::openblas
