// The loader's list of modules: walks it and reads one entry.
#pragma once

#include <link.h>

#include <cstddef>

#include "os.h"

namespace corewise::os {

// dl_iterate_phdr that no fork can interrupt: the child would find the list locked for ever
// (hold_walks). `visit` must not walk the list itself.
int walk(int (*visit)(dl_phdr_info* info, std::size_t size, void* closure), void* closure);

bool is_known(const dl_phdr_info& info, const KnownModules& known);

LoadedModule module_of(const dl_phdr_info& info);

}  // namespace corewise::os
