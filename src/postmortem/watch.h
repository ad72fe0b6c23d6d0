// Leaves a report when the process dies of a signal: which pools there were, in whose code the
// thread died, how many threads there were, and whether an OpenBLAS had run out of work buffers. A
// kernel that died in a web page says nothing; the next one can read it there.
//
// The program's own handlers come after ours, and if they mend the fault the report is taken back.
#pragma once

#include <optional>
#include <string>

#include "../error.h"

namespace corewise::postmortem {

// From now on. The reports go to death_folder(), which is made. Does nothing if COREWISE_POSTMORTEM
// is "off", or if it was done before.
std::optional<Error> watch();

// After pools were discovered: draws the scene anew if there are more. Cheap otherwise.
void look();

}  // namespace corewise::postmortem
