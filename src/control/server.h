// The control socket of this process: a thread of ours that answers requests on it, also while the
// program is in a long native call. It never takes Python's GIL, and no signal is delivered to it.
//
// A client has ten seconds to finish a request and to take the answer, and as long as it likes
// between them; of more than sixteen, the one that was silent for longest is dropped. Only the
// process's own user and root are answered.
#pragma once

#include <optional>
#include <string>

#include "../error.h"

namespace corewise::control {

// Where start() is called with a lock held that is taken over forks, this must come before that
// lock is made.
void prepare();

// Starts it; nothing happens if it runs. In the child of a fork it does not, and can be started
// anew. CW_NOT_AVAILABLE where COREWISE_CONTROL=off, or another copy of corewise serves this
// process.
std::optional<Error> start();

// Ends it and removes the socket. What was asked over it stays in force.
void stop();

// Empty while nothing is served.
std::string path();

// Removes the socket alone, for a process that is about to end: may be called anywhere.
void leave() noexcept;

}  // namespace corewise::control
