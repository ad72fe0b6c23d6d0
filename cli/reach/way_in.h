// Opens a control socket in a process that has none.
#pragma once

#include <optional>

#include "base/error.h"

namespace corewise::cli {

// A Jupyter kernel takes requests on its control channel while a cell runs: its own Python, which
// must have jupyter_client and corewise, asks it to import corewise. Any other Python of 3.14 or
// later gets a script (sys.remote_exec), which its main thread runs once it is back in Python code.
// No value if the process then has a socket; else an Error that says why not, and what to do.
std::optional<Error> make_socket(int pid);

}  // namespace corewise::cli
