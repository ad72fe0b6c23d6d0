// Replaces OpenBLAS's table of work buffers, and with it OpenBLAS's limit on callers.
//
// Every call into OpenBLAS takes a buffer from a table of fixed size; with more callers at once
// than places, it warns, then crashes. We replace blas_memory_alloc and blas_memory_free of every
// loaded copy at their entry by buffers.h, which has a buffer for everyone. Results do not change:
// a buffer has the size and alignment that the copy was built for.
//
// Buffers from before the installation go back to the copy's own table. Buffers of ours that are
// still out at removal are still recognised: blas_memory_free stays replaced until they are back.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace corewise::govern::openblas_buffers {

// One OpenBLAS copy, and whether its calls are served. If not, `reason` says why, and that its
// callers have to be capped instead.
struct CopyReport {
  std::string path;
  std::uintptr_t base = 0;
  const void* id = nullptr;  // what the listener is told
  bool served = false;
  std::string reason;
};

// Serves every copy that is loaded now; call it again for those loaded later.
std::vector<CopyReport> install();

// Gives every copy its own functions back. A reason says what had to stay; that is not a failure,
// and a later call finishes it.
std::vector<CopyReport> remove();

// Told of each call: after its buffer is taken, before anything is computed, and when it is given
// back. `procpos` is OpenBLAS's: 0 from level 3 routines, 1 from others. Not told of the buffers
// that OpenBLAS's own workers hold (2). Runs inside the calling thread and may not call BLAS.
struct Listener {
  void (*enter)(const void* copy, int procpos);
  void (*leave)(const void* copy);
};

// Null: nobody from now on. The listener must live for good: it is told of the end of each call
// that it was told of.
void listen(const Listener* listener);

}  // namespace corewise::govern::openblas_buffers
