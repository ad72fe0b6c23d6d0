// Notices that something was loaded, without asking the loader all the time: a program that loads a
// library to use it then asks dlsym for a name, and that is where we look. At that point the
// library is loaded and initialised, and none of its functions has been called.
#pragma once

#include <vector>

#include "hook.h"

namespace corewise::govern::loads {

// `look` is called in the program's threads, before each dlsym that follows a load or unload. It
// may load and lock, but must not wait for a lock whose holder may wait for the loader: instead it
// returns false, and is called again at the next dlsym. Null: nothing is called.
void watch(bool (*look)());

std::vector<GotRequest> got_requests();

}  // namespace corewise::govern::loads
