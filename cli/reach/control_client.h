// Asking a running process over its control socket.
#pragma once

#include <string>

#include "base/error.h"
#include "question.h"

namespace corewise::cli {

// An Error is that of connecting, or the one that the process answered. CW_NOT_AVAILABLE from
// either is told apart by `connected`, which may be null.
Result<Answer> ask_process(int pid, const std::string& request, int timeout_ms,
                           bool* connected = nullptr);

// The same for a command, which may take its time: a process without a socket is brought to have
// one, where there is a way in (way_in.h).
Result<Answer> ask_or_enter(int pid, const std::string& request, bool* connected);

// Says why a command could not be done, with the remedy; its exit code.
int fail_to_ask(const Error& error, bool connected, const char* command, int pid);

}  // namespace corewise::cli
