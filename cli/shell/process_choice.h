// The options --pid and --recorded: a process seen from outside.
#pragma once

#include <CLI/App.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "outside/process.h"

namespace corewise::cli {

struct ProcessChoice {
  std::optional<std::string> pid;
  std::optional<std::string> recorded;
};

// The texts say what each option is for.
std::shared_ptr<ProcessChoice> declare_process(CLI::App& app, const char* pid_text,
                                               const char* recorded_text);

// The pid in a text; 0 if the text is not a pid.
int parse_pid(const std::string& text);

// As /proc/PID/status has it: R, S, T (stopped), Z (a zombie)...; 0: not known.
char state_of(int pid);

// Whether a signal or a debugger stopped the process.
bool is_stopped(int pid);
// Whether a debugger or strace stopped it: SIGCONT does not make it go on.
bool is_debugged(int pid);

// What would help; "" if nothing would.
std::string remedy_for(Status status, const char* command, int pid);

// Shows a process and the folder, laid out like /proc/PID, that it came from; the exit code.
using ShowProcess = std::function<int(const outside::Process&, const std::string& folder)>;

// Reads the process that one of the options names, and shows it. Says on standard error, in the
// name of `command`, what cannot be read; `failed` is the exit code of errors without one.
int with_process(const ProcessChoice& choice, const char* command, int failed,
                 const ShowProcess& show);

// Warns of what could not be seen.
void say_notes(const outside::Process& process);

}  // namespace corewise::cli
