// How the loader lists one module to who walks its list.
#pragma once

#include <link.h>

#include <cstdint>

#include "os.h"

namespace corewise::os {

// Address of the dynamic section; 0 if it has none.
std::uintptr_t dynamic_of(const dl_phdr_info& info);

LoadedModule module_of(const dl_phdr_info& info);

}  // namespace corewise::os
