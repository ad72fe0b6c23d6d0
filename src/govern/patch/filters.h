// Notices that the program installs a filter of system calls (seccomp): by prctl() or syscall(),
// called directly, by libseccomp, or through dlsym as ctypes does. After that even a look whether
// there is a filter may be fatal (os/confined.h).
#pragma once

#include <vector>

#include "hook.h"

namespace corewise::govern::filters {

std::vector<GotRequest> got_requests();

}  // namespace corewise::govern::filters
