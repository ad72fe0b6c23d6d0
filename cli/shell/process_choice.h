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

// The pid that a text names; 0 if it is none.
int parse_pid(const std::string& text);

// As /proc/PID/status has it: R, S, T (stopped), Z (a zombie)...; 0: not known.
char state_of(int pid);

// By a signal or by a debugger.
bool is_stopped(int pid);

// What would help, or nothing.
std::string remedy_for(Status status, const char* command, int pid);

// What to do with a process, and the folder laid out like /proc/PID that it was read from; its
// value is the exit code.
using ShowProcess = std::function<int(const outside::Process&, const std::string& folder)>;

// Reads the process that one of the options names, and shows it. What cannot be read is said on
// standard error, for the command of that name; `failed` is the exit code of what has none of its
// own.
int with_process(const ProcessChoice& choice, const char* command, int failed,
                 const ShowProcess& show);

// Warns of what could not be seen.
void say_notes(const outside::Process& process);

}  // namespace corewise::cli
