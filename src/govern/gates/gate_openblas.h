// The gate for OpenBLAS: each call that takes a work buffer passes through it, and finds in the
// library's count of threads (blas_cpu_number, one for the process) what it was granted.
//
// The governor only lowers. What the program sets stays the upper bound, and what it reads is what
// it set: setter and getter are replaced at their entry, and deal with the program's number, which
// the library gets back whenever nobody is inside. Where they cannot be replaced the calls are only
// counted.
//
// The count is read a few instructions after the buffer is taken. A caller that comes in between on
// another thread may have stored its own: then one call runs with the other's grant. Vector
// routines take no buffer, and run with what stands there: one thread while a governed OpenMP team
// runs.
//
// A copy over OpenMP has no count of its own: its calls are granted what its OpenMP runtime tells
// them in answer to omp_get_max_threads, and its teams are never made smaller
// (govern/teams/bends.h).
#pragma once

#include <string>
#include <vector>

#include "govern/openblas_buffers/openblas_buffers.h"
#include "govern/patch/hook.h"
#include "pools/pool.h"

namespace corewise::govern::openblas {

// Starts to govern the copy in `pool`, which has our buffers as `served`. Empty, or what is not as
// it should be; `governed` says whether it is governed all the same.
struct Attached {
  bool governed = false;
  std::string reason;
};
Attached attach(const Pool& pool, const openblas_buffers::CopyReport& served);

// To be called when the caps of pools have changed: vector routines run with what stands in the
// count while nobody is inside.
void obey_caps();

// Gives all copies their functions and the program's number back; what cannot be undone.
std::vector<std::string> detach_all();

// What openblas_buffers is to tell of calls.
const openblas_buffers::Listener& listener();

// The slot of omp_get_max_threads, for copies over OpenMP.
std::vector<SlotRequest> slot_requests();

}  // namespace corewise::govern::openblas
