// The system calls that a program makes by prctl() and syscall().
//
// Notices that the program installs a filter of system calls (seccomp): by prctl() or syscall(),
// called directly, by libseccomp, or through dlsym as ctypes does. After that even a look whether
// there is a filter may be fatal (os/confined.h).
#pragma once

#include <array>
#include <vector>

#include "hook.h"

namespace corewise::govern::filters {

std::vector<GotRequest> got_requests();

// Makes in the program's place a system call that starts another program, execve or execveat, and
// returns as syscall() does. May be called in a child of vfork.
using Starter = long(long number, const std::array<long, 5>& arguments);
void hand_starts_to(Starter* start);

}  // namespace corewise::govern::filters
