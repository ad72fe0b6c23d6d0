// corewise run: starts a program with the counts in its environment, and becomes it.
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "commands.h"
#include "exit_codes.h"
#include "thread_variables.h"

namespace corewise::cli {
namespace {

std::string said(const Changes& changes) {
  std::string text;
  for (const Variable& variable : changes.set) {
    text += fmt::format("{}{}={}", text.empty() ? "" : " ", variable.name, variable.value);
    const char* before = std::getenv(variable.name.c_str());
    if (before != nullptr && variable.value != before) {
      text += fmt::format(" (was {})", printable(before, false));
    }
  }
  for (const std::string& name : changes.remove) {
    const char* before = std::getenv(name.c_str());
    if (before != nullptr) text += fmt::format(", removed {}={}", name, printable(before, false));
  }
  return text;
}

void apply(const Changes& changes) {
  for (const Variable& variable : changes.set) {
    ::setenv(variable.name.c_str(), variable.value.c_str(), 1);
  }
  for (const std::string& name : changes.remove) ::unsetenv(name.c_str());
  // Meant for us: the program may bring another Python with a corewise of its own.
  ::unsetenv("COREWISE_PYTHON");
}

// Returns only when the program could not be started.
int become(const std::vector<std::string>& words) {
  std::vector<char*> arguments;
  for (const std::string& word : words) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  ::execvp(arguments[0], arguments.data());
  const int reason = errno;
  const std::string shown = printable(words.front(), false);
  if (reason != ENOENT) {
    return fail(kCannotStart, fmt::format("cannot start '{}': {}", shown, std::strerror(reason)));
  }
  if (words.front().find('/') != std::string::npos && ::access(words.front().c_str(), F_OK) == 0) {
    return fail(kCannotStart,
                fmt::format("cannot start '{}': its interpreter or loader does not exist", shown),
                "its first line, or `file`, names the one it wants");
  }
  return fail(kNotFound, fmt::format("'{}' was not found", shown),
              words.front().find('/') == std::string::npos ? "is its folder in PATH?" : "");
}

int run(const Counts& counts, const Context& context) {
  const auto changes = changes_for(counts);
  if (!changes) return fail(kUsage, "run: " + changes.error().what);
  if (context.words.empty() || context.words.front().empty()) {
    return fail(kUsage, "run: no command to start",
                "put it after --: corewise run --openmp 8 -- python train.py");
  }
  if (changes->set.empty()) {
    return fail(kUsage, "run: nothing to limit",
                "give --openmp N, --blas N or another count before the command");
  }
  if (context.settings.json) {
    if (!context.settings.quiet) fmt::print(stderr, "{}", changes_json(*changes));
  } else {
    note(context.settings, "set " + said(*changes));
  }
  apply(*changes);
  return become(context.words);
}

Action declare(CLI::App& app) {
  auto counts = declare_counts(app);
  return [counts](const Context& context) { return run(*counts, context); };
}

}  // namespace

const Command kRun = {
    .name = "run",
    .summary = "Start a program with its thread pools limited",
    .about =
        "Starts a program with every environment variable set that the known runtimes of a kind "
        "read, and says which on standard error. The program takes the place of corewise: its "
        "output, signals and exit code are its own.\n"
        "\n"
        "Without --blas, BLAS libraries follow OMP_NUM_THREADS where none of their own variables "
        "is set. Variables that would overrule a limit (MKL_DOMAIN_NUM_THREADS, BLIS_JC_NT and "
        "their like) are removed. What the program itself sets later wins.",
    .example = "corewise run --openmp 8 --blas 4 -- python train.py",
    .declare = declare,
    .takes_command = true,
};

}  // namespace corewise::cli
