// corewise manual (hidden): the man page's source in scdoc's language, from the table of commands.
#include <fmt/format.h>

#include <string_view>

#include "shell/commands.h"
#include "shell/exit_codes.h"
#include "shell/help.h"
#include "shell/parser.h"

namespace corewise::cli {
namespace {

// Escapes the characters that scdoc reads as markup.
std::string plain(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '_' || c == '*' || c == '\\' || c == '<' || c == '#') out += '\\';
    out += c;
  }
  return out;
}

std::string paragraphs(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    out += plain(line) + "\n";
  }
  return out + "\n";
}

std::string option(const OptionRow& row) {
  return fmt::format("*{}*\n\t{}\n\n", plain(row.heading()), plain(row.text));
}

std::string example(std::string_view lines) {
  std::string out = "```\n";
  while (!lines.empty()) {
    const std::string_view line = lines.substr(0, lines.find('\n'));
    lines.remove_prefix(std::min(lines.size(), line.size() + 1));
    out += fmt::format("{}\n", line);
  }
  return out + "```\n\n";
}

std::string manual() {
  std::string out =
      "corewise(1)\n\n# NAME\n\ncorewise - show the threads that libraries start, and keep them "
      "within your CPUs\n\n"
      "# SYNOPSIS\n\n";
  for (const Command* command : commands()) {
    if (!command->hidden) out += fmt::format("*{}*++\n", plain(synopsis(*command)));
  }
  out += "*corewise --version*++\n*corewise help --man*\n\n# COMMANDS\n\n";
  for (const Command* command : commands()) {
    if (command->hidden) continue;
    out += fmt::format("## {}\n\n{}.\n\n{}", plain(synopsis(*command)), plain(command->summary),
                       paragraphs(command->about));
    for (const OptionRow& row : options_of(*command)) {
      if (!row.shared) out += option(row);
    }
    out += example(command->example);
  }
  out += "# OPTIONS OF ALL COMMANDS\n\n";
  for (const OptionRow& row : options_of(*commands().front())) {
    if (row.shared) out += option(row);
  }
  out +=
      "# OUTPUT\n\nData goes to standard output, messages to standard error. Colour is used on a "
      "terminal only, not with *NO\\_COLOR* set nor with *TERM=dumb*. Tables fit *COLUMNS*, else "
      "the terminal, else 80 columns.\n\n# EXIT STATUS\n\n";
  for (const ExitMeaning& row : kExitMeanings) {
    out += fmt::format("*{}*\n\t{}\n\n", static_cast<int>(row.code), plain(row.meaning));
  }
  out +=
      "*run* otherwise ends as the program it became ends.\n\n# ENVIRONMENT\n\n"
      "*COREWISE\\_BUDGET*\n\tYour own cap on the budget, in CPUs: 8, 1.5 or 500m; as *--budget* "
      "of *run*\n\n"
      "*COREWISE\\_GROUP*\n\tAs *--group* of *run*\n\n"
      "*COREWISE\\_LIBRARY*\n\tThe libcorewise.so that *run*, *doctor* and *--import* load into "
      "programs\n\n"
      "*VIRTUAL\\_ENV*\n\tWhose bin/python *--import* starts\n\n"
      "*NO\\_COLOR*, *TERM*, *COLUMNS*, *SHELL*\n\tAs told above\n";
  return out;
}

Action declare(CLI::App&) {
  return [](const Context&) {
    write_out(manual());
    return static_cast<int>(kOk);
  };
}

}  // namespace

const Command kManual = {
    .name = "manual",
    .summary = "Print the source of the man page",
    .about = "Prints docs/man/corewise.1.scd.",
    .example = "corewise manual | scdoc > corewise.1",
    .declare = declare,
    .takes_command = false,
    .hidden = true,
};

}  // namespace corewise::cli
