// The control socket of this process: a thread of ours that answers requests on it, also while the
// program is in a long native call. It never takes Python's GIL, and no signal is delivered to it.
//
// A client has ten seconds to finish a request and to take the answer, and as long as it likes
// between them; of more than sixteen, the one that was silent for longest is dropped. Only the
// process's own user and root are answered.
//
// The descriptors lie in the program's table. Where the program closes one, or puts a file of its
// own at the number, the thread lets go of it; without its listener it ends, and start() may be
// called again. A thread that nobody asks makes no system call.
#pragma once

#include <optional>
#include <string>

#include "base/error.h"

namespace corewise::control {

// From now on the child of a fork gets a socket of its own if its parent had one. For the agent:
// nothing else in the child would start one. glibc has made threads, memory and the loader usable
// again by the time that handlers run there.
void serve_children();

// Makes what start() needs as the library is loaded: a fork by another thread amid its first use
// would leave the child waiting for it.
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

// Around a call that changes the process's user, who then may not remove the socket any more:
// removes it, and says whether there was one; makes it anew for whoever the user is afterwards.
bool leave_for_other_user() noexcept;
void return_as_other_user();

}  // namespace corewise::control
