// Libraries over OpenMP whose threads wait for one another by number (OpenBLAS, BLIS): with a
// smaller team than they asked for they would wait for ever. Their regions are counted, and never
// made smaller. Filled by install, never emptied, so that looking takes no lock.
#pragma once

#include <cstdint>

#include "../os/os.h"

namespace corewise::govern::exact {

// False if there is no room. Adding twice changes nothing.
bool add(const os::LoadedModule& module);

// Whether a region's function, or whatever address, is theirs.
bool holds(std::uintptr_t code);

}  // namespace corewise::govern::exact
