// The loader's list of modules: a walk over it, and how it shows one of them.
#pragma once

#include <link.h>

#include <cstddef>

#include "os.h"

namespace corewise::os {

// dl_iterate_phdr, with no fork meanwhile: its child would find the list locked for ever
// (hold_walks). `visit` may not walk itself.
int walk(int (*visit)(dl_phdr_info* info, std::size_t size, void* closure), void* closure);

bool is_known(const dl_phdr_info& info, const KnownModules& known);

LoadedModule module_of(const dl_phdr_info& info);

}  // namespace corewise::os
