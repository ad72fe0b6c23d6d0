#include "command_line.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <exception>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "exit_codes.h"
#include "help.h"
#include "parser.h"
#include "process_choice.h"
#include "show_manual.h"
#include "spelling.h"

namespace corewise::cli {
namespace {

const Command* find(std::string_view name) {
  for (const Command* command : commands()) {
    if (name == command->name) return command;
  }
  return nullptr;
}

std::vector<std::string> visible_names() {
  std::vector<std::string> names;
  for (const Command* command : commands()) {
    if (!command->hidden) names.emplace_back(command->name);
  }
  return names;
}

int unknown_command(const std::string& name) {
  const std::string close = closest(name, visible_names());
  return fail(kUsage, fmt::format("there is no command '{}'", printable(name, false)),
              close.empty() ? "`corewise --help` lists the commands"
                            : fmt::format("did you mean `corewise {}`?", close));
}

std::vector<std::string> flags_of(const Command& command) {
  std::vector<std::string> flags;
  for (const OptionRow& row : options_of(command)) {
    flags.insert(flags.end(), row.flags.begin(), row.flags.end());
  }
  return flags;
}

std::vector<std::string> shared_flags() {
  std::vector<std::string> flags;
  for (const OptionRow& row : options_of(*commands().front())) {
    if (row.shared) flags.insert(flags.end(), row.flags.begin(), row.flags.end());
  }
  return flags;
}

bool is_shared(const std::string& flag) {
  const auto flags = shared_flags();
  return std::ranges::find(flags, flag) != flags.end();
}

// `command`: empty if the option stands before a command.
int unknown_option(const std::string& command, const std::string& word,
                   const std::vector<std::string>& flags) {
  // Any other letter would be close to one letter.
  const std::string close =
      word.size() > 2 ? closest(word.substr(0, word.find('=')), flags) : std::string();
  const std::string where = command.empty() ? command : command + ": ";
  const std::string asks = command.empty() ? command : command + " ";
  return fail(kUsage, fmt::format("{}there is no option '{}'", where, printable(word, false)),
              close.empty() ? fmt::format("`corewise {}--help` lists the options", asks)
                            : fmt::format("did you mean {}?", close));
}

// `words` hold no command. If an option in front belongs to a command, the user meant that command.
int no_command(const std::vector<std::string>& words) {
  for (const std::string& word : words) {
    if (!word.starts_with('-')) break;
    const std::string flag = word.substr(0, word.find('='));
    if (is_shared(flag)) continue;
    for (const Command* command : commands()) {
      const auto flags = flags_of(*command);
      if (command->hidden || std::ranges::find(flags, flag) == flags.end()) continue;
      return fail(kUsage, "no command given",
                  fmt::format("did you mean: corewise {} {}", command->name,
                              printable(fmt::format("{}", fmt::join(words, " ")), false)));
    }
  }
  const std::string flag = words.front().substr(0, words.front().find('='));
  if (is_shared(flag) || flag == "--")
    return fail(kUsage, "no command given", "`corewise --help` lists the commands");
  std::vector<std::string> flags = shared_flags();
  flags.emplace_back("--version");
  return unknown_option("", words.front(), flags);
}

int unknown_word(const Command& command, const std::string& word) {
  const std::string shown = printable(word, false);
  const std::vector<std::string> flags = flags_of(command);
  if (!word.starts_with('-')) {
    // Notebooks and `corewise top` take limits like this.
    const std::size_t equals = word.find('=');
    const std::string named = "--" + word.substr(0, equals);
    if (equals != word.npos && std::ranges::find(flags, named) != flags.end()) {
      return fail(
          kUsage, fmt::format("{}: unexpected argument '{}'", command.name, shown),
          fmt::format("did you mean: {} {}", named, printable(word.substr(equals + 1), false)));
    }
    const bool is_count = parse_pid(word) > 0;
    const char* option = !is_count                                    ? "-i"
                         : std::string_view(command.name) == "budget" ? "--cap"
                                                                      : "--pid";
    const bool has = std::ranges::find(flags, option) != flags.end();
    return fail(kUsage, fmt::format("{}: unexpected argument '{}'", command.name, shown),
                has ? fmt::format("did you mean: corewise {} {} {}", command.name, option, shown)
                    : fmt::format("`corewise {} --help` has an example", command.name));
  }
  // A word that the command takes without an option.
  for (const OptionRow& row : options_of(command)) {
    if (row.flags.empty() && word.substr(0, word.find('=')) == "--" + row.name) {
      return fail(kUsage, fmt::format("{}: there is no option '{}'", command.name, shown),
                  fmt::format("did you mean: corewise {} {}", command.name, row.value));
    }
  }
  return unknown_option(command.name, word, flags);
}

// CLI11 words its errors as "FLAG: what is wrong"; a missing value it counts.
// `given`: null if there is no command, only options of all.
int refuse(const Command* given, const CLI::ParseError& error) {
  const Command& command = given != nullptr ? *given : *commands().front();
  std::string what = error.what();
  const std::size_t colon = what.find(": ");
  const std::string flag = what.substr(0, colon);
  if (dynamic_cast<const CLI::ArgumentMismatch*>(&error) != nullptr) {
    const auto rows = options_of(command);
    const auto row = std::ranges::find_if(rows, [&](const OptionRow& one) {
      return std::ranges::find(one.flags, flag) != one.flags.end();
    });
    if (row != rows.end()) {
      const bool several = row->value.ends_with("...");
      what = fmt::format("{} takes {}{}", flag, several ? "" : "one value: ", row->value);
    }
  } else if (colon != what.npos && what.compare(colon + 2, 6, "takes ") == 0) {
    what.erase(colon, 1);
    // A word without an option, such as that of `completion`.
    if (!flag.starts_with('-')) {
      return fail(kUsage, fmt::format("{}{}", command.name, printable(what.substr(colon), false)),
                  fmt::format("`corewise {} --help` has an example", command.name));
    }
  }
  if (given == nullptr) {
    return fail(kUsage, printable(what, false), "`corewise --help` lists the options");
  }
  return fail(kUsage, fmt::format("{}: {}", command.name, printable(what, false)),
              fmt::format("`corewise {} --help` lists the options", command.name));
}

int run(const Command& command, std::vector<std::string> words) {
  Parser parser(command);
  Context context;
  std::vector<std::string> after;
  bool marked = false;
  if (command.takes_command) {
    const auto mark = std::find(words.begin(), words.end(), "--");
    marked = mark != words.end();
    if (marked) {
      after.assign(mark + 1, words.end());
      words.erase(mark, words.end());
    }
  }
  try {
    std::reverse(words.begin(), words.end());  // as CLI11 wants them
    parser.app.parse(words);
  } catch (const CLI::ExtrasError&) {
    return unknown_word(command, parser.app.remaining().front());
  } catch (const CLI::ParseError& error) {
    return refuse(&command, error);
  }
  if (parser.help) {
    write_out(help_for(command));
    return kOk;
  }
  if (command.takes_command) {
    context.words = parser.app.remaining();
    if (!context.words.empty()) {
      if (context.words.front().starts_with('-'))
        return unknown_word(command, context.words.front());
      if (marked) context.words.emplace_back("--");
    }
    context.words.insert(context.words.end(), after.begin(), after.end());
  }
  context.settings = parser.settings;
  return parser.action(context);
}

int dispatch(std::vector<std::string> words) {
  // Options before the command are those that all commands share.
  auto at = words.begin();
  for (; at != words.end() && at->starts_with('-'); ++at) {
    if (*at == "-h" || *at == "--help") {
      write_out(help_for_all());
      return kOk;
    }
    if (*at == "--version" || *at == "-V") {
      write_out("corewise " COREWISE_VERSION "\n");
      return kOk;
    }
    if (*at == "--color" && at + 1 != words.end()) ++at;
  }
  if (at == words.end()) {
    // A wrong value of an option comes before the missing command.
    if (!words.empty()) {
      Parser parser(*commands().front());
      try {
        parser.app.parse(std::vector<std::string>(words.rbegin(), words.rend()));
      } catch (const CLI::ExtrasError&) {
        return no_command(words);
      } catch (const CLI::ParseError& error) {
        return is_shared(words.front().substr(0, words.front().find('='))) ? refuse(nullptr, error)
                                                                           : no_command(words);
      }
    }
    if (words.empty()) {
      write_out(help_for_all());
      return kUsage;
    }
    return no_command(words);
  }
  if (*at == "help") {
    if (words.end() - at > 2) {
      return fail(kUsage,
                  fmt::format("help: unexpected argument '{}'", printable(*(at + 2), false)),
                  "`corewise help COMMAND` prints the help of one command");
    }
    if (at + 1 != words.end() && *(at + 1) == "--man") return show_manual();
    const std::string about_what = at + 1 != words.end() ? *(at + 1) : "help";
    const bool names_one = about_what != "help" && about_what != "--help" && about_what != "-h";
    const Command* about = names_one ? find(about_what) : nullptr;
    if (about == nullptr && about_what.starts_with('-') && names_one) {
      return unknown_option("help", about_what, {"--man", "--help"});
    }
    if (about == nullptr && names_one) return unknown_command(about_what);
    write_out(about != nullptr ? help_for(*about) : help_for_all());
    return kOk;
  }
  const Command* command = find(*at);
  if (command == nullptr) {
    const bool own = std::any_of(words.begin(), at, [](const std::string& word) {
      return word.starts_with('-') && !is_shared(word.substr(0, word.find('=')));
    });
    return own ? no_command(words) : unknown_command(*at);
  }
  words.erase(at);
  return run(*command, std::move(words));
}

}  // namespace

int run_command_line(int argc, char** argv) {
  try {
    return dispatch({argv + std::min(argc, 1), argv + argc});
  } catch (const std::exception& error) {
    return fail(kFailed, error.what());
  }
}

}  // namespace corewise::cli
