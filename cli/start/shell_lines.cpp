#include "shell_lines.h"

#include <fmt/format.h>

#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <cstdlib>
#include <string_view>

#include "shell/choice.h"

namespace corewise::cli {
namespace {

struct Syntax {
  const char* set;
  const char* remove;
};

// Each line ends in ';', since csh and fish join the lines they evaluate. Names and counts are
// letters, digits and underscores, so that nothing in them needs quoting in any shell.
Syntax syntax_of(std::string_view shell) {
  if (shell == "fish") return {"set -gx {} {};\n", "set -e {};\n"};
  if (shell == "csh" || shell == "tcsh") return {"setenv {} {};\n", "unsetenv {};\n"};
  return {"export {}={};\n", "unset {};\n"};
}

std::string own_shell() {
  const char* path = std::getenv("SHELL");
  const std::string name = path != nullptr ? path : "";
  if (name.ends_with("/fish")) return "fish";
  return name.ends_with("csh") ? "csh" : "bash";  // zsh reads the same lines
}

}  // namespace

std::shared_ptr<std::string> declare_shell(CLI::App& app) {
  auto shell = std::make_shared<std::string>();
  app.add_option("--shell", *shell, "Whose syntax (default: that of $SHELL)")
      ->check(one_of({"bash", "zsh", "sh", "fish", "csh", "tcsh"}))
      ->type_name("bash|zsh|sh|fish|csh|tcsh");
  return shell;
}

std::string shell_lines(const Changes& changes, const std::string& shell) {
  const Syntax syntax = syntax_of(shell.empty() ? own_shell() : shell);
  std::string lines;
  for (const Variable& variable : changes.set) {
    lines += fmt::format(fmt::runtime(syntax.set), variable.name, variable.value);
  }
  for (const std::string& name : changes.remove) {
    lines += fmt::format(fmt::runtime(syntax.remove), name);
  }
  return lines;
}

}  // namespace corewise::cli
