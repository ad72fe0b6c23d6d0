#include "help.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>

#include "base/text.h"
#include "parser.h"

namespace corewise::cli {
namespace {

constexpr int kWidest = 80;
// An option's heading stands beside its text if there is room for it.
constexpr int kColumn = 26;
constexpr int kLeastText = 34;

std::string row(std::string_view heading, std::string_view text, int width) {
  const int column = width >= kColumn + kLeastText ? kColumn : 6;
  const std::string head = fmt::format("  {}", heading);
  const int room = column - width_of(head);
  const std::string space(static_cast<std::size_t>(room < 2 ? column : room), ' ');
  return head + (room < 2 ? "\n" : "") + space + folded(text, column, column, width) + "\n";
}

// Commands to copy: one that goes on in the next line ends with a backslash.
std::string commands_to_copy(std::string_view lines, int width) {
  std::string out;
  while (!lines.empty()) {
    const std::string command = folded(cut(lines, '\n'), 2, 6, width - 2);
    out += "  ";
    for (const char c : command) out += c == '\n' ? " \\\n" : std::string(1, c);
    out += '\n';
  }
  return out;
}

int help_width() { return std::min(style_for({}).width, kWidest); }

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
  const int width = help_width();
  std::string out =
      folded(
          "corewise shows the threads that NumPy, SciPy, scikit-learn and other libraries start, "
          "and keeps them within your CPUs.",
          0, 0, width) +
      "\n\nUsage: corewise COMMAND [options]\n\nCommands:\n";
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
  return out +
         "\nExamples:\n  corewise info -i numpy\n  corewise run -- python train.py\n"
         "  corewise doctor -- python train.py\n";
}

std::string help_for(const Command& command) {
  const int width = help_width();
  std::string out = folded("Usage: " + synopsis(command), 0, 4, width) + "\n\n" +
                    folded_lines(command.about, 0, width);
  for (const bool shared : {false, true}) {
    std::string rows;
    for (const OptionRow& option : options_of(command)) {
      if (option.shared == shared) rows += row(option.heading(), option.text, width);
    }
    if (!rows.empty()) out += (shared ? "\nOptions of all commands:\n" : "\nOptions:\n") + rows;
  }
  return out + "\nExample:\n" + commands_to_copy(command.example, width);
}

}  // namespace corewise::cli
