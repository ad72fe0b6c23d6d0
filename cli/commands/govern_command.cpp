// corewise govern: governs a running process from now on.
#include <fmt/format.h>

#include <optional>

#include "control/answer_records.h"
#include "reach/control_client.h"
#include "shell/commands.h"
#include "shell/exit_codes.h"
#include "shell/process_choice.h"
#include "start/thread_variables.h"

namespace corewise::cli {
namespace {

using control::Request;

struct Options {
  std::optional<std::string> pid;
  std::optional<std::string> budget;
  bool off = false;
};

Result<Request> request_for(const Options& options) {
  Request request{.command = options.off ? Request::Command::kUngovern : Request::Command::kGovern};
  if (options.budget) {
    const auto count = parse_count("budget", *options.budget);
    if (!count) return count.error();
    request.budget = *count;
  }
  return request;
}

// What --off did. The usual sentence, that a process is governed or not, would not say it.
std::string end_of(const control::GovernAnswer& answer, int pid) {
  if (answer.governed) {
    return fmt::format(
        "Process {} stays governed, budget {}: `corewise run` or the program "
        "itself began that too.",
        pid, answer.report.budget);
  }
  return fmt::format(
      "Process {} {}.", pid,
      answer.ended ? "is not governed any more" : "was not governed: nothing was changed");
}

void show(const control::GovernAnswer& answer, int pid, bool off, const Context& context) {
  write_out(folded_lines(off               ? end_of(answer, pid)
                         : answer.governed ? fmt::format("Process {} is governed, budget {}.", pid,
                                                         answer.report.budget)
                                           : fmt::format("Process {} is not governed.", pid),
                         0, style_for(context.settings).width));
  if (off || !answer.governed || context.settings.quiet) return;
  for (const std::string& finding : answer.report.findings) {
    note(context.settings, printable(finding, false));
  }
}

int govern(const Options& options, const Context& context) {
  if (!options.pid) {
    return fail(kUsage, "govern: --pid is missing",
                "corewise govern --pid 4711; to start a program governed: corewise run -- COMMAND");
  }
  const int pid = parse_pid(*options.pid);
  if (pid == 0) {
    return fail(kUsage, fmt::format("govern: --pid takes the number of a process, not '{}'",
                                    printable(*options.pid, false)));
  }
  if (options.off && options.budget) return fail(kUsage, "govern: --off takes no --budget");
  const auto request = request_for(options);
  if (!request) return fail(kUsage, "govern: " + request.error().what);
  bool connected = false;
  // In a process without a socket there is nothing to end: none is opened in it.
  const auto answer = options.off ? ask_process(pid, *request, kCommandPatienceMs, &connected)
                                  : ask_or_enter(pid, *request, &connected);
  if (!answer && options.off && !connected && answer.error().status == CW_NOT_AVAILABLE) {
    return fail(kNoAgent, fmt::format("govern: process {} has no control socket, so this command "
                                      "began nothing in it",
                                      pid));
  }
  if (!answer) return fail_to_ask(answer.error(), connected, "govern", pid);
  if (context.settings.json) {
    write_out(answer->text + "\n");
  } else {
    show(control::GovernAnswer::read(answer->value), pid, options.off, context);
  }
  return kOk;
}

Action declare(CLI::App& app) {
  auto options = std::make_shared<Options>();
  app.add_option_function<std::string>(
         "-p,--pid", [options](const std::string& text) { options->pid = text; },
         "The process: one that `corewise run` started, a Python that imported corewise, a Jupyter "
         "kernel, or Python 3.14")
      ->type_name("PID");
  app.add_option_function<std::string>(
         "--budget", [options](const std::string& text) { options->budget = text; },
         "Threads that may run at a time (default: the CPUs that it may use)")
      ->type_name("N");
  app.add_flag("--off", options->off, "End what this command began before");
  return [options](const Context& context) { return govern(*options, context); };
}

}  // namespace

const Command kGovern = {
    .name = "govern",
    .summary = "Govern a running process: its BLAS calls get the CPUs that are free",
    .about =
        "Governs a running process from now on: keeps it inside one thread budget, as "
        "`corewise run` does from a program's start. The process shares the budget with your "
        "other governed processes that have the same CPUs and --budget. You may give another "
        "budget later.\n"
        "\n"
        "The option --off ends what this command began. A program that was started by `corewise "
        "run`, or that governs itself, stays governed.",
    .example =
        "corewise govern --pid 4711\n"
        "corewise govern --pid 4711 --budget 8\n"
        "corewise govern --pid 4711 --off",
    .declare = declare,
};

}  // namespace corewise::cli
