// Governs oneTBB through its own interface for this: if it finds a permit manager, libtcm, while it
// is loaded, it asks that how many workers each of its arenas may use. It finds ours, src/tcm.
#pragma once

#include <cstdint>

#include "os/os.h"

namespace corewise::govern::tbb {

// From now on a copy of oneTBB that is loaded finds our permit manager. Does nothing if the program
// uses another (TCM_ENABLE is set), or ours is not installed.
void offer_permits();

// Serves permits to this copy. A copy that is older than permits (before 2021.11), or was loaded
// before they were offered, never asks.
void expect(const os::LoadedModule& module, std::uint32_t pool);

// Whether the copy asks us for permits.
bool asks(std::uint32_t pool);

}  // namespace corewise::govern::tbb
