// Asking a running process over its control socket.
#pragma once

#include <string>

#include "base/error.h"
#include "question.h"

namespace corewise::cli {

// An Error comes from connecting or from the process's answer. `connected`, which may be null,
// tells the two apart for CW_NOT_AVAILABLE.
Result<Answer> ask_process(int pid, const control::Request& request, int timeout_ms,
                           bool* connected = nullptr);

// How long a command waits for an answer.
constexpr int kCommandPatienceMs = 30'000;

// The same for a command, which may take longer: first opens a socket in a process that has none,
// if there is a way in (way_in.h).
Result<Answer> ask_or_enter(int pid, const control::Request& request, bool* connected);

// Says why a command failed, and the remedy; returns its exit code.
int fail_to_ask(const Error& error, bool connected, const char* command, int pid);

}  // namespace corewise::cli
