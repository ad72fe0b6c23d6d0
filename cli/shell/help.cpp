#include "help.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>

#include "parser.h"

namespace corewise::cli {
namespace {

constexpr int kWidest = 80;
// An option's heading stands beside its text if there is room for it.
constexpr std::size_t kColumn = 26;
constexpr std::size_t kLeastText = 34;

// Wraps the words of one paragraph to lines of at most `width`, each after `indent` spaces; the
// first line already starts at that column.
std::string wrapped(std::string_view text, std::size_t indent, std::size_t width) {
  std::string out;
  std::size_t column = indent;
  while (!text.empty()) {
    const std::string_view word = text.substr(0, text.find(' '));
    text.remove_prefix(std::min(text.size(), word.size() + 1));
    if (column > indent && column + 1 + word.size() > width) {
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

std::string paragraphs(std::string_view text, std::size_t width) {
  std::string out;
  while (!text.empty()) {
    const std::string_view paragraph = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), paragraph.size() + 1));
    out += paragraph.empty() ? "\n" : wrapped(paragraph, 0, width);
  }
  return out;
}

std::string row(std::string_view heading, std::string_view text, std::size_t width) {
  const std::size_t column = width >= kColumn + kLeastText ? kColumn : 6;
  std::string out = fmt::format("  {}", heading);
  out += out.size() + 2 > column ? "\n" + std::string(column, ' ')
                                 : std::string(column - out.size(), ' ');
  return out + wrapped(text, column, width);
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

std::size_t help_width() {
  return static_cast<std::size_t>(std::min(style_for({}).width, kWidest));
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
  const std::size_t width = help_width();
  std::string out =
      wrapped(
          "corewise sees and limits every native thread pool of a process: OpenMP, BLAS, "
          "oneTBB and more.",
          0, width) +
      "\nUsage: corewise COMMAND [options]\n\nCommands:\n";
  for (const Command* command : commands()) {
    if (!command->hidden) out += row(command->name, command->summary, width);
  }
  out += "\nOptions:\n";
  out += row("-h, --help", "Print this help; after a command, the help of that command", width);
  out += row("-V, --version", "Print the version", width);
  out += row("help --man", "Show the man page; `help COMMAND` prints a command's help", width);
  for (const OptionRow& option : options_of(*commands().front())) {
    if (option.shared && option.flags.front() != "-h")
      out += row(option.heading(), option.text, width);
  }
  return out + "\nExample:\n  corewise info -i numpy\n";
}

std::string help_for(const Command& command) {
  const std::size_t width = help_width();
  std::string out =
      fmt::format("Usage: {}\n\n{}", synopsis(command), paragraphs(command.about, width));
  for (const bool shared : {false, true}) {
    std::string rows;
    for (const OptionRow& option : options_of(command)) {
      if (option.shared == shared) rows += row(option.heading(), option.text, width);
    }
    if (!rows.empty()) out += (shared ? "\nOptions of all commands:\n" : "\nOptions:\n") + rows;
  }
  return out + "\nExample:\n" + indented(command.example);
}

}  // namespace corewise::cli
