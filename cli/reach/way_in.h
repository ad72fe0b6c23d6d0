// A way into a process that has no control socket, so that it gets one.
#pragma once

#include <optional>

#include "base/error.h"

namespace corewise::cli {

// A Jupyter kernel takes requests on its control channel while a cell runs: it is asked to import
// corewise, by its own Python, which must have jupyter_client and corewise. Any other Python
// of 3.14 or later is sent a script (sys.remote_exec), which its main thread runs once it is back
// in Python code. Nothing if it has a socket after; else an Error that says why not, and what to
// do.
std::optional<Error> make_socket(int pid);

}  // namespace corewise::cli
