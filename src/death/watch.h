// Leaves a report when the process dies of a signal: which pools there were, in whose code the
// thread died, how many threads there were, and whether an OpenBLAS had run out of work buffers. A
// kernel that died in a web page says nothing; the next one can read it there.
//
// A guest: the program sets and reads its own handlers as if ours were not there, they come first,
// and a report is written only where the signal will end the process. It needs 2 KiB of stack.
#pragma once

#include <optional>
#include <string>

#include "base/error.h"

namespace corewise::postmortem {

// From now on. Nothing is made before something dies. Does nothing if COREWISE_POSTMORTEM
// is "off", or if it was done before.
std::optional<Error> watch();

// After pools were discovered: draws the scene anew if there are more. Cheap otherwise.
void look();

}  // namespace corewise::postmortem
