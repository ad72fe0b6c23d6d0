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

// Says whether these entries, and those by which dlsym is called, are rewritten in all modules.
void are_seen(bool everywhere) noexcept;

// Makes a system call in the program's place, and returns as syscall() does. May be called in a
// child of vfork.
using SystemCall = long(long number, const std::array<long, 5>& arguments);
// Those that start another program: execve and execveat.
void hand_starts_to(SystemCall* start);
// Those that enter namespaces: unshare and setns.
void hand_entries_to(SystemCall* enter);

}  // namespace corewise::govern::filters
