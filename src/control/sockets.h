// Where control sockets are: PID.sock in $XDG_RUNTIME_DIR/corewise, else in /tmp/corewise-UID, a
// folder that nobody else may enter.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace corewise::control {

// The path of this process's own socket; makes the folder. CW_NOT_PERMITTED if there is one that is
// not plainly ours: a link, somebody else's, or open to others.
Result<std::string> own_socket();
// The same for another file of this process, PID with that ending.
Result<std::string> own_file(std::string_view ending);

// What to do if a process's queue of callers is full: it is stopped, or busy.
enum class FullQueue { wait_half_a_second, give_up };

// Connects to the process's socket, and checks that the process itself and its user are at the
// other end. The socket is a blocking one; the caller closes it. CW_NO_SUCH_PROCESS,
// CW_NOT_PERMITTED, CW_NOT_AVAILABLE if it has no socket, CW_IO_ERROR if its queue stays full.
Result<int> connect_to(int pid, FullQueue full = FullQueue::wait_half_a_second);

// Connects to a path, in half a second at most; below 0 with errno.
int connect_path(const std::string& path);

// Whether nobody listens at the path any more.
bool is_left(const std::string& path);

// The processes of this user that have a socket. Removes sockets that nobody listens at, if their
// processes are gone.
std::vector<int> served_pids();

// Removes the socket of the program that this process was before exec, or of a process that had its
// pid, if nobody listens at it. Makes no folder.
void remove_own_left();

// Only removes them: each process that gets a socket or ends tidies up after those that were
// killed.
void remove_left();

}  // namespace corewise::control
