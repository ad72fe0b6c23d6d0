// corewise env: what `run` would set, as lines for a shell to evaluate.
#include <fmt/format.h>

#include <cstdlib>
#include <string_view>

#include "commands.h"
#include "exit_codes.h"
#include "thread_variables.h"

namespace corewise::cli {
namespace {

struct Options {
  std::shared_ptr<Counts> counts;
  std::string shell;
  bool unset = false;
};

struct Syntax {
  const char* set;
  const char* remove;
};

// Each line ends in ';', since csh and fish join the lines they evaluate. Names and counts are
// letters, digits and underscores, so that nothing in them needs quoting in any shell.
Syntax syntax_of(std::string_view shell) {
  if (shell == "fish") return {"set -gx {} {};\n", "set -e {};\n"};
  if (shell == "csh") return {"setenv {} {};\n", "unsetenv {};\n"};
  return {"export {}={};\n", "unset {};\n"};
}

std::string own_shell() {
  const char* path = std::getenv("SHELL");
  const std::string name = path != nullptr ? path : "";
  if (name.ends_with("/fish")) return "fish";
  return name.ends_with("csh") ? "csh" : "bash";
}

int env(const Options& options, const Context& context) {
  auto changes = changes_for(*options.counts);
  if (!changes) return fail(kUsage, "env: " + changes.error().what);
  if (options.unset && !changes->set.empty()) {
    return fail(kUsage, "env: --unset takes no counts", "it removes every variable that env sets");
  }
  if (!options.unset && changes->set.empty()) {
    return fail(kUsage, "env: nothing to set", "give --openmp N, --blas N or another count");
  }
  if (options.unset) changes->remove = all_names();
  if (context.settings.json) {
    write_out(changes_json(*changes));
    return kOk;
  }
  const Syntax syntax = syntax_of(options.shell.empty() ? own_shell() : options.shell);
  std::string lines;
  for (const Variable& variable : changes->set) {
    lines += fmt::format(fmt::runtime(syntax.set), variable.name, variable.value);
  }
  for (const std::string& name : changes->remove) {
    lines += fmt::format(fmt::runtime(syntax.remove), name);
  }
  write_out(lines);
  return kOk;
}

Action declare(CLI::App& app) {
  auto options = std::make_shared<Options>();
  options->counts = declare_counts(app);
  app.add_option("--shell", options->shell, "Whose syntax (default: that of $SHELL)")
      ->check(CLI::IsMember({"bash", "fish", "csh"}).description(""))
      ->type_name("bash|fish|csh");
  app.add_flag("--unset", options->unset, "Remove every variable that env sets");
  return [options](const Context& context) { return env(*options, context); };
}

}  // namespace

const Command kEnv = {
    .name = "env",
    .summary = "Print the same limits as lines for a shell",
    .about =
        "Prints what `corewise run` would set and remove, as lines for your shell to evaluate, so "
        "that every program started from it later is limited. bash's lines fit every shell of the "
        "Bourne family, csh's also tcsh.",
    .example =
        "eval \"$(corewise env --openmp 8 --blas 4)\"\n"
        "corewise env --openmp 8 --shell fish | source\n"
        "eval \"$(corewise env --unset)\"",
    .declare = declare,
};

}  // namespace corewise::cli
