// Whether the program has confined itself since we first looked (seccomp). Opening a file may be
// fatal to it from then on, so what we do unasked is left out: at forks, at the end, inside hooks.
#pragma once

namespace corewise::os {

// Remembers how things are now; again it does nothing. Before other handlers around forks are
// registered that ask.
void watch_confinement();

// Makes no call but fstat() and pread(), on a file that was opened before; where the program has
// closed that, the answer is yes. Once yes it stays so, in forked children too. May be called
// anywhere, also in a signal handler. False where nobody watches.
bool is_confined() noexcept;

}  // namespace corewise::os
