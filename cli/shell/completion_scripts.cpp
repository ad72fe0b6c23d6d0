#include "completion_scripts.h"

#include <fmt/format.h>

#include <vector>

#include "commands.h"
#include "parser.h"
#include "quoting.h"

namespace corewise::cli {
namespace {

std::vector<const Command*> shown() {
  std::vector<const Command*> all;
  for (const Command* command : commands()) {
    if (!command->hidden) all.push_back(command);
  }
  return all;
}

std::string names() {
  std::string text;
  for (const Command* command : shown()) text += fmt::format("{} ", command->name);
  return text + "help";
}

// Escapes the characters that have a meaning in zsh's specs.
std::string zsh_text(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == '[' || c == ']' || c == ':' || c == '\\') out += '\\';
    out += c;
  }
  return out;
}

std::string zsh_value(const OptionRow& option) {
  if (option.value.empty()) return "";
  const auto choices = option.choices();
  const std::string action = !choices.empty()         ? fmt::format("({})", fmt::join(choices, " "))
                             : option.value == "FILE" ? "_files"
                             : option.value == "FOLDER" ? "_files -/"
                             : option.value == "PID"    ? "_pids"
                                                        : "";
  return fmt::format(":{}:{}", zsh_text(option.value), action);
}

}  // namespace

std::string bash_completion() {
  std::string out = fmt::format(
      "# bash completion of corewise; made by `corewise completion bash`\n"
      "_corewise() {{\n"
      "  local word=\"${{COMP_WORDS[COMP_CWORD]}}\" before=\"${{COMP_WORDS[COMP_CWORD-1]}}\"\n"
      "  local command= i\n"
      "  COMPREPLY=()\n"
      "  for ((i = 1; i < COMP_CWORD; ++i)); do\n"
      "    case \"${{COMP_WORDS[i]}}\" in\n"
      "      --color) ((++i)) ;;\n"
      "      -*) ;;\n"
      "      *) command=\"${{COMP_WORDS[i]}}\"; break ;;\n"
      "    esac\n"
      "  done\n"
      "  if [[ -z $command ]]; then\n"
      "    COMPREPLY=($(compgen -W {} -- \"$word\"))\n"
      "    return\n"
      "  fi\n",
      in_quotes(names() + " --help --version --json --color --quiet"));
  out += "  case \"$command\" in\n";
  for (const Command* command : shown()) {
    std::string flags, values;
    std::string positional;
    for (const OptionRow& option : options_of(*command)) {
      for (const std::string& flag : option.flags) flags += flag + " ";
      const auto choices = option.choices();
      if (option.flags.empty()) positional = fmt::format("{}", fmt::join(choices, " "));
      if (option.value.empty() || option.flags.empty()) continue;
      const std::string reply =
          !choices.empty()
              ? fmt::format("-W {}", in_quotes(fmt::format("{}", fmt::join(choices, " "))))
          : option.value == "FILE"   ? "-f"
          : option.value == "FOLDER" ? "-d"
          : option.value == "PID"    ? "-W \"$(cd /proc && printf '%s ' [0-9]*)\""
                                     : "-W ''";
      values += fmt::format("        {}) COMPREPLY=($(compgen {} -- \"$word\")); return ;;\n",
                            fmt::join(option.flags, "|"), reply);
    }
    out += fmt::format("    {})\n", command->name);
    if (command->takes_command) {
      // What follows -- is another program's line: first commands, then the program's arguments.
      out +=
          "      for ((++i; i < COMP_CWORD; ++i)); do\n"
          "        if [[ ${COMP_WORDS[i]} == -- ]]; then\n"
          "          if declare -F _command_offset >/dev/null; then _command_offset $((i + 1))\n"
          "          elif ((i + 1 == COMP_CWORD)); then COMPREPLY=($(compgen -c -- \"$word\"))\n"
          "          else COMPREPLY=($(compgen -f -- \"$word\")); fi\n"
          "          return\n"
          "        fi\n"
          "      done\n";
    }
    if (!values.empty()) out += "      case \"$before\" in\n" + values + "      esac\n";
    out += fmt::format("      COMPREPLY=($(compgen -W {} -- \"$word\")) ;;\n",
                       in_quotes(positional.empty() ? flags + (command->takes_command ? "--" : "")
                                                    : positional + " " + flags));
  }
  out +=
      fmt::format("    help) COMPREPLY=($(compgen -W {} -- \"$word\")) ;;\n", in_quotes(names()));
  return out + "  esac\n}\ncomplete -F _corewise corewise\n";
}

std::string zsh_completion() {
  std::string out =
      "#compdef corewise\n"
      "# zsh completion of corewise; made by `corewise completion zsh`\n"
      "_corewise() {\n"
      "  local context state line\n"
      "  local -a commands\n"
      "  commands=(\n";
  for (const Command* command : shown()) {
    out +=
        "    " + in_quotes(fmt::format("{}:{}", command->name, zsh_text(command->summary))) + "\n";
  }
  out +=
      "  )\n"
      "  _arguments -C '(-h --help)'{-h,--help}'[Print help]' '--version[Print the version]' \\\n"
      "    '1:command:->command' '*::argument:->argument'\n"
      "  case $state in\n"
      "    command) _describe command commands ;;\n"
      "    argument)\n"
      "      case $words[1] in\n";
  for (const Command* command : shown()) {
    out += fmt::format("        {}) _arguments -s", command->name);
    for (const OptionRow& option : options_of(*command)) {
      if (option.flags.empty()) out += " \\\n          " + in_quotes("1" + zsh_value(option));
      for (const std::string& flag : option.flags) {
        out += " \\\n          " +
               in_quotes(fmt::format("{}[{}]{}", flag, zsh_text(option.text), zsh_value(option)));
      }
    }
    if (command->takes_command) out += " \\\n          '*:::command:_normal'";
    out += " ;;\n";
  }
  return out +
         "      esac ;;\n  esac\n}\n"
         "if [[ $funcstack[1] == _corewise ]]; then _corewise \"$@\"; else compdef _corewise "
         "corewise; fi\n";
}

std::string fish_completion() {
  std::string out =
      "# fish completion of corewise; made by `corewise completion fish`\n"
      "complete -c corewise -f\n"
      "complete -c corewise -n __fish_use_subcommand -l version -d 'Print the version'\n";
  for (const Command* command : shown()) {
    out += fmt::format("complete -c corewise -n __fish_use_subcommand -a {} -d {}\n", command->name,
                       in_quotes(command->summary));
    const std::string here = fmt::format("-n '__fish_seen_subcommand_from {}'", command->name);
    for (const OptionRow& option : options_of(*command)) {
      std::string line = "complete -c corewise " + here;
      for (const std::string& flag : option.flags) {
        line += flag.starts_with("--") ? " -l " + flag.substr(2) : " -s " + flag.substr(1);
      }
      const auto choices = option.choices();
      if (!choices.empty()) {
        line += fmt::format("{} -a {}", option.flags.empty() ? "" : " -x",
                            in_quotes(fmt::format("{}", fmt::join(choices, " "))));
      } else if (option.value == "FILE" || option.value == "FOLDER") {
        line += " -r -F";
      } else if (option.value == "PID") {
        line += " -x -a '(__fish_complete_pids)'";
      } else if (!option.value.empty()) {
        line += " -x";
      }
      out += line + " -d " + in_quotes(option.text) + "\n";
    }
    if (command->takes_command) {
      // What follows -- is another program's line, completed as if it stood alone.
      out +=
          "function __corewise_rest\n"
          "  set -l words (commandline -opc) (commandline -ct)\n"
          "  set -l at (contains -i -- -- $words); or return\n"
          "  complete -C (string join ' ' -- $words[(math $at + 1)..])\n"
          "end\n"
          "complete -c corewise -n 'contains -- -- (commandline -opc)' -f -a '(__corewise_rest)'\n";
    }
  }
  return out;
}

}  // namespace corewise::cli
