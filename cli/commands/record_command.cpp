// corewise record: what ran when, to a file and a picture.
#include <fmt/format.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <optional>
#include <string_view>
#include <thread>

#include "base/blocked_signals.h"
#include "base/clock.h"
#include "base/text.h"
#include "budget/budget.h"
#include "os/machine.h"
#include "os/os.h"
#include "reach/kernel_view.h"
#include "reach/process_watch.h"
#include "recording/record_files.h"
#include "recording/recorder.h"
#include "shell/choice.h"
#include "shell/commands.h"
#include "shell/exit_codes.h"
#include "shell/own_program.h"
#include "shell/process_choice.h"
#include "shell/quoting.h"
#include "start/library.h"
#include "start/run_child.h"
#include "start/target.h"

namespace corewise::cli {
namespace {

struct Options {
  std::optional<std::string> pid;
  std::optional<std::string> seconds;
  std::optional<std::string> interval;
  std::optional<std::string> output;
  std::string format = "html";
  std::optional<std::string> html;
  bool compare = false;
};

// Samples until `stop` is set, no process is left, or `seconds` are over.
void watch(Recorder& recorder, double interval_s, const std::atomic<bool>& stop,
           std::optional<double> seconds) {
  const double begin = now_s();
  while (!stop) {
    const double before = now_s();
    if (!recorder.sample() && before - begin > 1) break;
    if (seconds && now_s() - begin >= *seconds) break;
    // If a sample takes long, take fewer.
    const double rest = std::max(interval_s - (now_s() - before), interval_s / 4);
    const timespec pause{
        static_cast<time_t>(rest),
        static_cast<long>(1e9 * (rest - static_cast<double>(static_cast<time_t>(rest))))};
    ::nanosleep(&pause, nullptr);
  }
  recorder.sample();
  recorder.end();
}

std::atomic<bool> interrupted{false};

void set_variables(const Target& target) {
  if (!target.obstacle.empty()) return;
  const auto list = preload_list();
  if (!list) return;
  ::setenv("LD_PRELOAD", list->c_str(), 1);
  if (std::getenv("COREWISE_CONTROL") == nullptr) ::setenv("COREWISE_CONTROL", "on", 1);
}

int record_command(Recorder& recorder, double interval_s, std::optional<double> seconds,
                   const std::vector<std::string>& words) {
  const Target target = find_target(words);
  std::atomic<bool> stop{false};
  // Only the thread that waits for the program takes signals.
  auto blocked = std::make_optional<BlockedSignals>();
  std::thread watching([&] { watch(recorder, interval_s, stop, seconds); });
  blocked.reset();
  const int status = wait_for_child([&] {
    set_variables(target);
    return become(words, target, "record");
  });
  stop = true;
  watching.join();
  return status;
}

// What to record, once the options make sense.
struct Subject {
  double interval_s = 0;
  std::optional<double> seconds;
  int pid = 0;                     // 0: the command
  std::vector<std::string> words;  // of the command
};

struct Outcome {
  int status = 0;  // of the command, as waitpid returns it
  int failed = kOk;
  bool is_recorded = false;  // even if the file is not complete
};

Outcome record_to(const std::string& lines, const Subject& subject) {
  std::ofstream file(lines, std::ios::trunc | std::ios::binary);
  if (!file) {
    return {0, fail(kFailed, fmt::format("record: cannot write {}: {}", printable(lines, false),
                                         std::strerror(errno)))};
  }
  const auto budget = compute_budget(os::LiveMachine());
  const bool itself = subject.pid != 0;
  Recorder recorder(itself ? subject.pid : ::getpid(), itself, subject.interval_s,
                    [&](const std::string& line) { file << line << '\n'; });
  recorder.begin(budget ? budget->cpus : 1,
                 itself ? command_of(subject.pid) : for_shell(subject.words));
  Outcome outcome;
  if (itself) {
    struct sigaction action{};
    action.sa_handler = [](int) { interrupted = true; };
    ::sigaction(SIGINT, &action, nullptr);
    ::sigaction(SIGTERM, &action, nullptr);
    watch(recorder, subject.interval_s, interrupted, subject.seconds);
  } else {
    outcome.status = record_command(recorder, subject.interval_s, subject.seconds, subject.words);
    if (outcome.status < 0) {
      return {0, fail(kFailed, fmt::format("record: cannot start a process: {}",
                                           std::strerror(-outcome.status)))};
    }
  }
  outcome.is_recorded = true;
  file.close();
  if (file) return outcome;
  warn(fmt::format("{} is not whole: is the disk full?", printable(lines, false)));
  outcome.failed = kFailed;
  return outcome;
}

std::string output_of(const Options& options) { return options.output.value_or("corewise-record"); }

// Runs the command twice, the second time governed. Returns the exit code of the first run.
int compare(const Options& options, Subject subject, const Context& context) {
  const std::string name = output_of(options);
  const std::string installed = name + ".jsonl";
  const std::string governed = name + "-governed.jsonl";
  const Outcome first = record_to(installed, subject);
  if (first.failed != kOk) return first.failed;
  subject.words.insert(subject.words.begin(), {own_program(), "run", "-q", "--govern", "--"});
  const Outcome second = record_to(governed, subject);
  if (second.failed != kOk) return second.failed;
  const int code = write_comparison(installed, governed, name + ".html", context);
  return code != kOk ? code : end_like(first.status);
}

int record(const Options& options, const Context& context) {
  if (options.output && options.output->empty()) {
    return fail(kUsage, "record: --output takes a name");
  }
  if (options.html) {
    if (options.pid || !context.words.empty() || options.compare || options.seconds ||
        options.interval) {
      return fail(kUsage,
                  "record: --html is about a recording: it takes no command, and no option but "
                  "--output and --format");
    }
    std::string_view base = *options.html;
    constexpr std::string_view kEnd = ".jsonl";
    if (base.ends_with(kEnd)) base.remove_suffix(kEnd.size());
    return write_picture(*options.html, options.output.value_or(std::string(base)), options.format,
                         false, context);
  }
  if (options.pid.has_value() != context.words.empty()) {
    return fail(kUsage, "record: give either --pid PID or a command after --",
                "corewise record -- python train.py");
  }
  if (options.compare && (options.pid || options.format != "html")) {
    return fail(kUsage,
                "record: --compare runs a command twice and makes a page: it takes no "
                "--pid and no other --format");
  }
  const std::string typed = options.interval.value_or("20");
  const auto interval = parse_integer(typed);
  if (!interval || *interval < 10 || *interval > 1000) {
    return fail(kUsage, fmt::format("record: --interval takes 10 to 1000 milliseconds, not '{}'",
                                    printable(typed, false)));
  }
  Subject subject{static_cast<double>(*interval) / 1000, {}, 0, context.words};
  if (options.seconds) {
    subject.seconds = parse_positive(*options.seconds);
    if (!subject.seconds) {
      return fail(kUsage,
                  fmt::format("record: --seconds takes a number of seconds above 0, not '{}'",
                              printable(*options.seconds, false)));
    }
  }
  if (options.pid) {
    subject.pid = parse_pid(*options.pid);
    if (subject.pid == 0) {
      return fail(kUsage, fmt::format("record: --pid takes the number of a process, not '{}'",
                                      printable(*options.pid, false)));
    }
    if (!is_there(subject.pid)) {
      return fail(kNoSuchProcess, fmt::format("record: there is no process {}", subject.pid));
    }
  }
  // If the program cannot start, keep the earlier recording.
  if (!options.pid) {
    const Target target = find_target(context.words);
    if (target.path.empty()) return become(context.words, target, "record");
    if (options.compare && !target.obstacle.empty()) {
      return fail(kUsage, fmt::format("record: '{}' {}: it cannot be governed, so there is nothing "
                                      "to compare",
                                      printable(context.words.front(), false), target.obstacle));
    }
  }
  if (options.compare) return compare(options, subject, context);
  const std::string name = output_of(options);
  const std::string lines = name + ".jsonl";
  const Outcome outcome = record_to(lines, subject);
  if (!outcome.is_recorded) return outcome.failed;
  const int code = write_picture(lines, name, options.format, true, context);
  if (outcome.failed != kOk) return outcome.failed;
  return options.pid || code != kOk ? code : end_like(outcome.status);
}

Action declare(CLI::App& app) {
  auto options = std::make_shared<Options>();
  app.add_option_function<std::string>(
         "-p,--pid", [options](const std::string& text) { options->pid = text; },
         "Record a process that runs, and what it starts, until it ends or Ctrl-C")
      ->type_name("PID");
  app.add_option_function<std::string>(
         "-o,--output", [options](const std::string& text) { options->output = text; },
         "Write NAME.jsonl and NAME.html (default: corewise-record)")
      ->type_name("NAME");
  app.add_option("--format", options->format,
                 "What to make of the recording: a page, or NAME.trace.json for ui.perfetto.dev "
                 "(default: html)")
      ->check(one_of({"html", "perfetto"}))
      ->type_name("html|perfetto");
  app.add_flag("--compare", options->compare,
               "Run the command twice, as it is and governed, and draw both on one page");
  app.add_option_function<std::string>(
         "--interval", [options](const std::string& text) { options->interval = text; },
         "Milliseconds between looks (default: 20)")
      ->type_name("MS");
  app.add_option_function<std::string>(
         "--seconds", [options](const std::string& text) { options->seconds = text; },
         "Stop recording after S seconds")
      ->type_name("S");
  app.add_option_function<std::string>(
         "--html", [options](const std::string& text) { options->html = text; },
         "Record nothing: make the page, or with --format perfetto the trace, of the recording "
         "FILE again")
      ->type_name("FILE");
  return [options](const Context& context) { return record(*options, context); };
}

}  // namespace

const Command kRecord = {
    .name = "record",
    .summary = "Record what ran when, and show where more threads ran than there are CPUs",
    .about =
        "Looks at the threads of a program, and of all that it starts, 50 times a second from "
        "outside, and writes a recording and a page with a picture. The top of the picture shows "
        "how many threads were ready to run at a time, in the colour of what they belong to (BLAS, "
        "OpenMP, the program itself), against the line of your CPUs. Below, each thread has a line "
        "in that colour, striped while it was ready to run and no CPU was free. The page needs "
        "nothing else and no network. With --format perfetto it writes a trace for ui.perfetto.dev "
        "instead. With --compare it runs the command a second time, governed, and the page shows "
        "both.\n"
        "\n"
        "corewise loads libcorewise.so into a command that it starts, to learn to which pool each "
        "thread belongs; the command is not governed, and corewise ends with its exit code. "
        "If a process has no control socket, corewise cannot tell its pools apart.",
    .example =
        "corewise record -- python train.py\n"
        "corewise record -o slow --pid 4711 --seconds 10\n"
        "corewise record -- corewise run -- python train.py\n"
        "corewise record --compare -- python train.py\n"
        "corewise record --html slow.jsonl\n"
        "corewise record --html slow.jsonl --format perfetto",
    .declare = declare,
    .takes_command = true,
    .command_optional = true,
};

}  // namespace corewise::cli
