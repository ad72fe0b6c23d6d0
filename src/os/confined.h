// Whether the program has confined itself (seccomp) since we first looked. From then on opening a
// file may kill it, so we skip what nobody asked for: at forks, at exit, inside hooks.
#pragma once

namespace corewise::os {

// Remembers the current state; a second call does nothing.
void watch_confinement();

// Calls only fstat() and pread(), on a file opened earlier. True if the program has closed that
// file. Once true it stays true, in forked children too. May be called anywhere, even in a signal
// handler. False if nobody called watch_confinement().
bool is_confined() noexcept;

}  // namespace corewise::os
