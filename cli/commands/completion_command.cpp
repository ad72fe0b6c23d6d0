// corewise completion: a shell's completion script, generated from the table of commands.
#include <fmt/format.h>

#include "shell/choice.h"
#include "shell/commands.h"
#include "shell/completion_scripts.h"
#include "shell/exit_codes.h"

namespace corewise::cli {
namespace {

Action declare(CLI::App& app) {
  auto shell = std::make_shared<std::string>();
  app.add_option("shell", *shell, "The shell")
      ->check(one_of({"bash", "zsh", "fish"}))
      ->type_name("bash|zsh|fish");
  return [shell](const Context&) {
    if (shell->empty()) {
      return fail(kUsage, "completion: for which shell?", "corewise completion bash|zsh|fish");
    }
    write_out(*shell == "bash"  ? bash_completion()
              : *shell == "zsh" ? zsh_completion()
                                : fish_completion());
    return static_cast<int>(kOk);
  };
}

}  // namespace

const Command kCompletion = {
    .name = "completion",
    .summary = "Print a script that completes corewise's words in your shell",
    .about = "Prints a completion script for bash, zsh or fish.",
    .example =
        "corewise completion bash > ~/.local/share/bash-completion/completions/corewise\n"
        "corewise completion zsh > ~/.zfunc/_corewise\n"
        "corewise completion fish > ~/.config/fish/completions/corewise.fish",
    .declare = declare,
};

}  // namespace corewise::cli
