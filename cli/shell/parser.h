// The parser of one command, and its options as help, completion and the man page show them.
#pragma once

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <string>
#include <vector>

#include "commands.h"

namespace corewise::cli {

// Commands are parsed alone, so that a module or program named like another command is just a word.
struct Parser {
  explicit Parser(const Command& command);

  CLI::App app;
  Action action;
  Settings settings;
  bool help = false;
};

// An option as help, completion and the man page show it. The value's name says what it takes:
// "FILE" and "FOLDER" are paths, "a|b" is a choice.
struct OptionRow {
  std::vector<std::string> flags;  // "-i", "--import"; empty for a word without an option
  std::string name;                // of such a word, "shell"
  std::string value;               // empty for a switch
  std::string text;
  bool shared = false;  // of all commands

  std::string heading() const;  // "-i, --import MODULE..."
  std::vector<std::string> choices() const;
};

std::vector<OptionRow> options_of(const Command& command);

}  // namespace corewise::cli
