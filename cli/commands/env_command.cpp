// corewise env: what `run` would set, as lines for a shell to evaluate.
#include "shell/commands.h"
#include "shell/exit_codes.h"
#include "start/shell_lines.h"

namespace corewise::cli {
namespace {

struct Options {
  std::shared_ptr<TypedCounts> counts;
  std::shared_ptr<std::string> shell;
  bool unset = false;
};

int env(const Options& options, const Context& context) {
  auto changes = changes_for(*options.counts);
  if (!changes) return fail(kUsage, "env: " + changes.error().what);
  if (options.unset && !changes->set.empty()) {
    return fail(kUsage, "env: --unset takes no limits", "it removes every variable that env sets");
  }
  if (!options.unset && changes->set.empty()) {
    return fail(kUsage, "env: nothing to set", "give --openmp N, --blas N or another limit");
  }
  if (options.unset) changes->remove = all_names();
  if (context.settings.json) {
    write_out(changes_json(*changes));
    return kOk;
  }
  write_out(shell_lines(*changes, *options.shell));
  return kOk;
}

Action declare(CLI::App& app) {
  auto options = std::make_shared<Options>();
  options->counts = declare_counts(app);
  options->shell = declare_shell(app);
  app.add_flag("--unset", options->unset, "Remove every variable that env sets");
  return [options](const Context& context) { return env(*options, context); };
}

}  // namespace

const Command kEnv = {
    .name = "env",
    .summary = "Print thread limits as lines for your shell",
    .about =
        "Prints the variables that `corewise run --no-govern` would set and remove, as lines "
        "for your shell to evaluate. Every program that you start from that shell later is "
        "limited. bash's lines are for zsh and sh too, csh's for tcsh.",
    .example =
        "eval \"$(corewise env --openmp 8 --blas 4)\"\n"
        "corewise env --openmp 8 --shell fish | source\n"
        "eval \"$(corewise env --unset)\"",
    .declare = declare,
};

}  // namespace corewise::cli
