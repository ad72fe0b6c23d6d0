// The control socket of this process: our own thread answers requests, even while the program is in
// a long native call. The thread never takes Python's GIL, and no signal is delivered to it.
//
// A client has ten seconds to finish a request and to take the answer, and as long as it likes
// between requests; of more than sixteen, the server drops the one that was silent for longest. It
// answers only the process's own user and root.
//
// The descriptors are in the program's table. If the program closes one, or puts a file of its own
// at the number, the thread lets go of it; without its listener the thread ends, and start() may be
// called again. A thread that nobody asks makes no system call.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>

#include "base/error.h"

namespace corewise::control {

// From now on the child of a fork gets a socket of its own if its parent had one. For the agent:
// nothing else in the child would start one. By the time that fork handlers run in the child, glibc
// has made threads, memory and the loader usable again.
void serve_children();

// Makes what start() needs while the library is loaded: if another thread forked during its first
// use, the child would wait for it.
void prepare();

// Starts the server; does nothing if it runs. It does not run in the child of a fork, and can be
// started anew there. CW_NOT_AVAILABLE if COREWISE_CONTROL=off, or if another copy of corewise
// serves this process.
std::optional<Error> start();

// The same for a caller that may hold what the holder of our lock waits for. False if somebody
// holds it: call it again.
bool start_unless_busy();

// Ends it and removes the socket. What was asked over it stays in force.
void stop();

// For a call that only a process with one thread may make: removes the socket and tells its thread
// to end, which it soon does. Nobody starts it again until end_pause(), or ever if the process has
// entered a namespace. False if there is none here: nothing happens.
bool pause();
void end_pause(bool entered);

// Empty while nothing is served.
std::string path();

// Only removes the socket, for a process that is about to end. May be called anywhere.
void leave() noexcept;

// Around a call that changes the process's user to `user` (-1: it does not), who then may not
// remove the socket: the first removes it and returns whether there was one, the second makes it
// anew for the new user.
bool leave_for_other_user(uid_t user) noexcept;
void return_as_other_user();

}  // namespace corewise::control
