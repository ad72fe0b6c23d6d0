// The programs that this one starts. If the loader cannot put the agent into one, it starts
// without: musl's loader ends a program over a library that it cannot link, glibc's over one that
// needs a newer glibc, AddressSanitizer ends one whose own library is not the first, and programs
// for 32 bits, or in a root without the library, complain.
#pragma once

#include <vector>

#include "govern/patch/hook.h"

namespace corewise::agent {

// The exec and posix_spawn functions, to be hooked. `library`: this one, as LD_PRELOAD names it.
// The replacements may be called in the child of vfork.
std::vector<govern::GotRequest> hook_children(const char* library);

}  // namespace corewise::agent
