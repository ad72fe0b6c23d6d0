// Leaves a report when the process dies of a signal: which pools there were, in whose code the
// thread died, how many threads there were, and whether an OpenBLAS had run out of work buffers. A
// notebook's kernel that dies says nothing; the next one can read it there.
//
// A guest: the program sets and reads its own handlers as if ours were not there, they run first,
// and we write a report only if the signal will end the process. Needs 2 KiB of stack.
#pragma once

#include <optional>

#include "base/error.h"

namespace corewise::death {

// Watches from now on. Makes nothing before something dies. Does nothing if COREWISE_POSTMORTEM is
// "off", or if it was called before.
std::optional<Error> watch_death();

}  // namespace corewise::death
