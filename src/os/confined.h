// Filters of system calls (seccomp). One that the program installs makes it confined: from then on
// opening a file may kill it, so we skip what nobody asked for: at forks, at exit, inside hooks.
// One that it was started under may be fatal from the beginning.
#pragma once

namespace corewise::os {

// Whether this process was started under a filter that kills it for a system call of ours: then the
// program must be left alone altogether. Asked for the first time, under a filter, a child of its
// own makes each of our calls once, with arguments that do nothing, and is killed or not. The
// program sees nothing of that child. Containers have filters too, whose answers are errors: there
// it costs a fork. False if it cannot be tried.
bool is_filter_fatal();

// The same for one system call that only some processes need.
bool is_call_fatal(long number);

// Remembers the current state; a second call does nothing.
void watch_confinement();

// Calls only fstat() and pread(), on a file opened earlier. True if the program has closed that
// file. Once true it stays true, in forked children too. May be called anywhere, even in a signal
// handler. False if nobody called watch_confinement().
bool is_confined() noexcept;

}  // namespace corewise::os
