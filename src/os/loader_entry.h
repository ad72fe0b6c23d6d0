// How the loader lists one module to who walks its list.
#pragma once

#include <link.h>

#include "os.h"

namespace corewise::os {

bool is_known(const dl_phdr_info& info, const KnownModules& known);

LoadedModule module_of(const dl_phdr_info& info);

}  // namespace corewise::os
