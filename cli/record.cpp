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

#include "budget.h"
#include "commands.h"
#include "exit_codes.h"
#include "library.h"
#include "os/machine.h"
#include "os/os.h"
#include "process_choice.h"
#include "process_watch.h"
#include "recorder.h"
#include "run_child.h"
#include "target.h"
#include "text.h"
#include "timeline.h"

namespace corewise::cli {
namespace {

constexpr int kBins = 450;

struct Options {
  std::optional<std::string> pid;
  std::optional<std::string> seconds;
  std::string interval = "20";
  std::string output = "corewise-record";
  std::optional<std::string> html;
};

std::string words_of(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : " ") + word;
  return text;
}

int write_page(const std::string& lines, const std::string& page, const Context& context) {
  const auto text = os::read_file(lines, std::size_t{1} << 30);
  if (!text) return fail(kFailed, "record: " + printable(text.error().what, false));
  const auto recording = read_recording(*text, kBins);
  if (!recording) {
    return fail(kFailed, fmt::format("record: {}: {}", printable(lines, false),
                                     printable(recording.error().what, false)));
  }
  std::ofstream file(page, std::ios::trunc | std::ios::binary);
  file << timeline_html(*recording);
  file.close();
  if (!file) {
    return fail(kFailed, fmt::format("record: cannot write {}: {}", printable(page, false),
                                     std::strerror(errno)));
  }
  note(context.settings, verdict_of(*recording));
  note(context.settings,
       fmt::format("recorded to {}, shown in {}", printable(lines, false), printable(page, false)));
  return kOk;
}

// Looks until told to stop, or nothing is left; or for some seconds.
void watch(Recorder& recorder, double interval_s, const std::atomic<bool>& stop,
           std::optional<double> seconds) {
  const double begin = monotonic_s();
  while (!stop) {
    const double before = monotonic_s();
    if (!recorder.look() && before - begin > 1) break;
    if (seconds && monotonic_s() - begin >= *seconds) break;
    // Where looking takes long, it is done less often.
    const double rest = std::max(interval_s - (monotonic_s() - before), interval_s / 4);
    const timespec pause{
        static_cast<time_t>(rest),
        static_cast<long>(1e9 * (rest - static_cast<double>(static_cast<time_t>(rest))))};
    ::nanosleep(&pause, nullptr);
  }
  recorder.look();
  recorder.end();
}

std::atomic<bool> interrupted{false};

void set_variables(const Target& target) {
  const auto list = target.obstacle.empty() ? preload_list() : Result<std::string>(Error{});
  if (!list) return;
  ::setenv("LD_PRELOAD", list->c_str(), 1);
  if (std::getenv("COREWISE_CONTROL") == nullptr) ::setenv("COREWISE_CONTROL", "on", 1);
}

int record_command(Recorder& recorder, double interval_s, std::optional<double> seconds,
                   const Context& context) {
  const Target target = find_target(context.words.front());
  std::atomic<bool> stop{false};
  sigset_t all;
  sigset_t before;
  ::sigfillset(&all);
  // Signals are for the thread that waits for the program.
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  std::thread looking([&] { watch(recorder, interval_s, stop, seconds); });
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  const int status = wait_for_child([&] {
    set_variables(target);
    return become(context.words, target);
  });
  stop = true;
  looking.join();
  return status;
}

int record(const Options& options, const Context& context) {
  if (options.html) {
    if (options.pid || !context.words.empty()) {
      return fail(kUsage, "record: --html is about a recording: it takes no --pid and no command");
    }
    std::string_view base = *options.html;
    constexpr std::string_view kEnd = ".jsonl";
    if (base.ends_with(kEnd)) base.remove_suffix(kEnd.size());
    return write_page(*options.html, std::string(base) + ".html", context);
  }
  if (options.pid.has_value() != context.words.empty()) {
    return fail(kUsage, "record: give either --pid PID or a command after --",
                "corewise record -- python train.py");
  }
  const auto interval = parse_integer(options.interval);
  if (!interval || *interval < 10 || *interval > 1000) {
    return fail(kUsage, fmt::format("record: --interval wants 10 to 1000 milliseconds, not '{}'",
                                    printable(options.interval, false)));
  }
  std::optional<double> seconds;
  if (options.seconds) {
    seconds = parse_cpus(*options.seconds);
    if (!seconds) {
      return fail(kUsage, fmt::format("record: --seconds wants a number above 0, not '{}'",
                                      printable(*options.seconds, false)));
    }
  }
  const int pid = options.pid ? parse_pid(*options.pid) : ::getpid();
  if (pid == 0) {
    return fail(kUsage, fmt::format("record: --pid wants the number of a process, not '{}'",
                                    printable(*options.pid, false)));
  }
  if (!is_there(pid)) {
    return fail(kNoSuchProcess, fmt::format("record: there is no process {}", pid));
  }
  if (options.output.empty()) return fail(kUsage, "record: --output wants a name");
  // What was recorded before stays where nothing can be recorded.
  if (!options.pid) {
    const Target target = find_target(context.words.front());
    if (target.path.empty()) return become(context.words, target);
  }
  const std::string lines = options.output + ".jsonl";
  std::ofstream file(lines, std::ios::trunc | std::ios::binary);
  if (!file) {
    return fail(kFailed, fmt::format("record: cannot write {}: {}", printable(lines, false),
                                     std::strerror(errno)));
  }
  const auto budget = compute_budget(os::LiveMachine());
  const double interval_s = static_cast<double>(*interval) / 1000;
  Recorder recorder(pid, options.pid.has_value(), interval_s,
                    [&](const std::string& line) { file << line << '\n'; });
  recorder.begin(budget ? budget->cpus : 1,
                 options.pid ? command_of(pid) : words_of(context.words));
  int status = 0;
  if (options.pid) {
    struct sigaction action{};
    action.sa_handler = [](int) { interrupted = true; };
    ::sigaction(SIGINT, &action, nullptr);
    ::sigaction(SIGTERM, &action, nullptr);
    watch(recorder, interval_s, interrupted, seconds);
  } else {
    status = record_command(recorder, interval_s, seconds, context);
    if (status < 0) {
      return fail(kFailed, fmt::format("cannot start a process: {}", std::strerror(-status)));
    }
  }
  file.close();
  const bool whole = bool(file);
  if (!whole) warn(fmt::format("{} is not whole: is the disk full?", printable(lines, false)));
  const int code = write_page(lines, options.output + ".html", context);
  if (!whole) return kFailed;
  return options.pid || code != kOk ? code : end_like(status);
}

Action declare(CLI::App& app) {
  auto options = std::make_shared<Options>();
  app.add_option_function<std::string>(
         "-p,--pid", [options](const std::string& text) { options->pid = text; },
         "Record a process that runs, and what it starts, until it ends or Ctrl-C")
      ->type_name("PID");
  app.add_option("-o,--output", options->output,
                 "Write NAME.jsonl and NAME.html (default: corewise-record)")
      ->type_name("NAME");
  app.add_option("--interval", options->interval, "Milliseconds between looks (default: 20)")
      ->type_name("MS");
  app.add_option_function<std::string>(
         "--seconds", [options](const std::string& text) { options->seconds = text; },
         "Record that long at most")
      ->type_name("S");
  app.add_option_function<std::string>(
         "--html", [options](const std::string& text) { options->html = text; },
         "Only make the picture of a recording again")
      ->type_name("FILE");
  return [options](const Context& context) { return record(*options, context); };
}

}  // namespace

const Command kRecord = {
    .name = "record",
    .summary = "Record what ran when, and show where more threads ran than there are CPUs",
    .about =
        "Looks at the threads of a program, and of all that it starts, 50 times a second from "
        "outside, and writes a recording and a page with a picture: a line for each thread, "
        "coloured by the pool that it belongs to, and above them how many threads were ready to "
        "run at a time, red where they were more than the budget. The page needs nothing else and "
        "no network.\n"
        "\n"
        "A command that is started so has libcorewise.so loaded, which is asked whose its threads "
        "are; it is not governed. The exit code is the command's. Of a process that has no control "
        "socket, the pools are not known.",
    .example =
        "corewise record -- python train.py\n"
        "corewise record -o slow --pid 4711 --seconds 10\n"
        "corewise record -- corewise run -- python train.py\n"
        "corewise record --html slow.jsonl",
    .declare = declare,
    .takes_command = true,
    .command_optional = true,
};

}  // namespace corewise::cli
