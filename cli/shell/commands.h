// The commands, in one table: parsing, help, completion and the man page are made from it. A new
// command is one file in commands/ that ends in its row, declared here and listed in commands.cpp.
#pragma once

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "output.h"

namespace corewise::cli {

// What every command gets.
struct Context {
  Settings settings;               // the options that all commands share
  std::vector<std::string> words;  // with `takes_command`: the command to start
};

// What a command does once its options are known; returns the exit code.
using Action = std::function<int(const Context&)>;

struct Command {
  const char* name;
  const char* summary;               // one line, no full stop
  const char* about;                 // paragraphs for the help and the man page
  const char* example;               // lines to paste
  Action (*declare)(CLI::App& app);  // adds its options
  bool takes_command = false;        // the words after its options, or after --, start a program
  bool hidden = false;               // for our own build only
  bool command_optional = false;     // with `takes_command`: works without one, too
};

extern const Command kInfo, kBudget, kPlan, kDoctor, kRun, kLimit, kGovern, kTop, kRecord, kEnv,
    kCompletion, kManual;

std::span<const Command* const> commands();

}  // namespace corewise::cli
