#include "help.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>

#include "parser.h"

namespace corewise::cli {
namespace {

constexpr std::size_t kWidth = 80;

// Words of one paragraph in lines of at most kWidth, each after `indent` spaces; the first line is
// begun already at that column.
std::string wrapped(std::string_view text, std::size_t indent) {
  std::string out;
  std::size_t column = indent;
  while (!text.empty()) {
    const std::string_view word = text.substr(0, text.find(' '));
    text.remove_prefix(std::min(text.size(), word.size() + 1));
    if (column > indent && column + 1 + word.size() > kWidth) {
      out += "\n" + std::string(indent, ' ');
      column = indent;
    }
    if (column > indent) {
      out += ' ';
      ++column;
    }
    out += word;
    column += word.size();
  }
  return out + "\n";
}

std::string paragraphs(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const std::string_view paragraph = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), paragraph.size() + 1));
    out += paragraph.empty() ? "\n" : wrapped(paragraph, 0);
  }
  return out;
}

std::string row(std::string_view heading, std::string_view text) {
  constexpr std::size_t kColumn = 26;
  std::string out = fmt::format("  {}", heading);
  out += out.size() + 2 > kColumn ? "\n" + std::string(kColumn, ' ')
                                  : std::string(kColumn - out.size(), ' ');
  return out + wrapped(text, kColumn);
}

std::string indented(std::string_view lines) {
  std::string out;
  while (!lines.empty()) {
    const std::string_view line = lines.substr(0, lines.find('\n'));
    lines.remove_prefix(std::min(lines.size(), line.size() + 1));
    out += fmt::format("  {}\n", line);
  }
  return out;
}

}  // namespace

std::string synopsis(const Command& command) {
  std::string words;
  for (const OptionRow& option : options_of(command)) {
    if (option.flags.empty()) words += " " + option.value;
  }
  if (command.takes_command) {
    words +=
        command.command_optional ? " [[--] COMMAND [ARGUMENT...]]" : " [--] COMMAND [ARGUMENT...]";
  }
  return fmt::format("corewise {} [options]{}", command.name, words);
}

std::string help_for_all() {
  std::string out =
      "corewise sees and limits every native thread pool of a process: OpenMP, BLAS,\n"
      "oneTBB and more.\n\nUsage: corewise COMMAND [options]\n\nCommands:\n";
  for (const Command* command : commands()) {
    if (!command->hidden) out += row(command->name, command->summary);
  }
  out += "\nOptions:\n";
  out += row("-h, --help", "Print this help; after a command, the help of that command");
  out += row("-V, --version", "Print the version");
  out += row("help --man", "Show the man page; `help COMMAND` prints a command's help");
  for (const OptionRow& option : options_of(*commands().front())) {
    if (option.shared && option.flags.front() != "-h") out += row(option.heading(), option.text);
  }
  return out + "\nExample:\n  corewise info -i numpy\n";
}

std::string help_for(const Command& command) {
  std::string out = fmt::format("Usage: {}\n\n{}", synopsis(command), paragraphs(command.about));
  for (const bool shared : {false, true}) {
    std::string rows;
    for (const OptionRow& option : options_of(command)) {
      if (option.shared == shared) rows += row(option.heading(), option.text);
    }
    if (!rows.empty()) out += (shared ? "\nOptions of all commands:\n" : "\nOptions:\n") + rows;
  }
  return out + "\nExample:\n" + indented(command.example);
}

}  // namespace corewise::cli
