// corewise run: starts a program governed, and becomes it; with --report it waits for it.
#include <fcntl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <functional>
#include <limits>
#include <optional>

#include "base/json.h"
#include "base/text.h"
#include "budget/budget.h"
#include "budget/preset_counts.h"
#include "budget/thread_binding.h"
#include "govern/gates/start_bound.h"
#include "govern/govern.h"
#include "govern/ledger/recent_callers.h"
#include "govern/own_budget.h"
#include "govern/spinning/idle_pools.h"
#include "govern/teams/bend_name.h"
#include "os/machine.h"
#include "os/os.h"
#include "outcome/report_file.h"
#include "outcome/run_report.h"
#include "outcome/try_bend.h"
#include "run_jobs.h"
#include "shell/choice.h"
#include "shell/commands.h"
#include "shell/exit_codes.h"
#include "shell/variable.h"
#include "start/library.h"
#include "start/project.h"
#include "start/ranks.h"
#include "start/run_child.h"
#include "start/target.h"
#include "start/thread_variables.h"

namespace corewise::cli {
namespace {

struct Options {
  std::shared_ptr<TypedCounts> counts;
  TypedCounts project_counts;  // what the project's file says beside them
  std::optional<std::string> budget;
  std::optional<std::string> group;
  std::optional<int> weight;
  std::optional<std::string> share;
  std::vector<std::string> bend;  // from the project's file, even if the environment overrides it
  std::string report;
  Trial trial;  // requested if it names a library
  bool govern = false;
  bool no_govern = false;
  std::optional<bool> jobserver;
  std::string project;  // the file that gave the defaults
  bool project_governs = true;
  std::string remark;  // about that file, for the user
};

// How the program starts, and what to tell the user about that.
struct Start {
  Changes counts;  // shown to the user
  Changes agent;   // variables that only our agent and idle threads read
  Target target;
  int budget = 0;        // 0: not governed
  std::string division;  // of the machine among ranks
  JobPlan jobs;
  bool told_as_json = false;
};

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
}

Result<Budget> budget_for(const Options& options) {
  const std::string inherited = variable("COREWISE_BUDGET");
  if (!options.budget && inherited.empty()) return compute_budget(os::LiveMachine());
  const std::string text = options.budget.value_or(inherited);
  const std::string name = options.budget ? "--budget" : "COREWISE_BUDGET";
  const auto cap = parse_cap(text);
  auto budget = cap ? compute_budget(os::LiveMachine(), *cap) : Result<Budget>(cap.error());
  if (budget) return budget;
  // It quotes what was given.
  return Error{CW_BAD_COUNT, fmt::format("{}: {}", name, printable(budget.error().what, false))};
}

// Whether to pass --budget on to the program: the lower of --budget and an inherited cap holds.
bool lowers(const std::optional<std::string>& budget) {
  if (!budget) return false;
  const auto own = parse_cap(*budget);
  const auto inherited = parse_cap(variable("COREWISE_BUDGET"));
  return own && !(inherited && *inherited < *own);
}

bool sets(const Changes& changes, std::string_view name) {
  return std::ranges::any_of(changes.set, [&](const Variable& v) { return v.name == name; });
}

// Bounds the threads that OpenBLAS starts by itself. Counts that the user asked for do that too.
void bound_what_starts(int budget, const Changes& counts, Changes& to) {
  namespace bound = govern::start_bound;
  if (sets(counts, bound::kName) || sets(counts, "OMP_NUM_THREADS")) return;
  const auto value = bound::value_for(budget, os::usable_cpus(), os::LiveMachine());
  if (!value) return;
  to.set.push_back({bound::kName, *value});
  to.set.push_back({bound::kMarker, *value});
}

// Presets the counts of libraries that no gate reaches, if somebody chose the budget.
void preset_what_counts_cpus(const Options& options, int budget, Start& start) {
  namespace preset = preset_counts;
  if (!options.budget && variable("COREWISE_BUDGET").empty()) return;
  // What the command line asks for is set before the program starts, like the user's own variables.
  const auto asked = [&](const char* name) { return name != nullptr && sets(start.counts, name); };
  std::string list;
  for (const auto* one : preset::for_budget(budget, os::usable_cpus(), os::LiveMachine())) {
    if (asked(one->name) || asked(one->unless)) continue;
    start.agent.set.push_back({one->name, std::to_string(budget)});
    list += fmt::format("{}{}={}", list.empty() ? "" : " ", one->name, budget);
  }
  if (!list.empty()) start.agent.set.push_back({preset::kMarker, list});
}

std::optional<Error> add_agent(const Options& options, Changes& to) {
  auto list = preload_list();
  if (!list) return list.error();
  to.set.push_back({"LD_PRELOAD", *std::move(list)});
  to.set.push_back({"COREWISE_GOVERN", "1"});
  if (lowers(options.budget)) to.set.push_back({"COREWISE_BUDGET", *options.budget});
  if (options.group) to.set.push_back({"COREWISE_GROUP", *options.group});
  if (options.weight) to.set.push_back({"COREWISE_WEIGHT", std::to_string(*options.weight)});
  if (options.share) to.set.push_back({"COREWISE_SHARE", *options.share});
  if (!options.bend.empty() && std::getenv("COREWISE_BEND") == nullptr) {
    to.set.push_back({"COREWISE_BEND", fmt::format("{}", fmt::join(options.bend, ":"))});
  }
  for (const auto& idle : govern::idle_pools::variables()) {
    if (std::getenv(idle.name) != nullptr) continue;
    const bool left = std::ranges::any_of(idle.unless, [](const char* other) {
      return other != nullptr && std::getenv(other) != nullptr;
    });
    if (left) continue;
    to.set.push_back({idle.name, idle.value});
    to.set.push_back({idle.marker, idle.value});
  }
  return std::nullopt;
}

// Adds what neither the command line nor the environment has set.
std::optional<Error> add_defaults(const TypedCounts& counts, Changes& to) {
  const auto defaults = changes_for(counts);
  if (!defaults) return defaults.error();
  for (const Variable& variable : defaults->set) {
    const bool typed = sets(to, variable.name);
    if (!typed && std::getenv(variable.name.c_str()) == nullptr) to.set.push_back(variable);
  }
  return std::nullopt;
}

Result<Start> prepare(const Options& options, Changes counts, const Context& context) {
  Start start;
  start.target = find_target(context.words);
  start.counts = std::move(counts);
  // Only for us: the program may run another Python with a corewise of its own.
  start.agent.remove = {"COREWISE_PYTHON"};
  if (options.no_govern) {
    start.agent.remove.emplace_back("COREWISE_GOVERN");
    return start;
  }
  const auto found = budget_for(options);
  if (!found) return found.error();
  const govern::OwnBudget own = govern::own_budget(*found, os::LiveMachine());
  const int budget = own.threads;
  preset_what_counts_cpus(options, budget, start);
  if (!start.target.obstacle.empty()) {
    // The agent cannot enter it: at least its counts are within the budget.
    const std::string most = std::to_string(budget);
    if (const auto error = add_defaults({{"openmp", most}, {"blas", most}}, start.counts)) {
      return *error;
    }
    return start;
  }
  if (const auto error = add_agent(options, start.agent)) return *error;
  // What is not started cannot run later, when a group's budget is raised.
  const bool grouped = options.group || !variable("COREWISE_GROUP").empty();
  bound_what_starts(grouped ? own.hard : own.most, start.counts, start.agent);
  start.budget = budget;
  start.division = division_among_ranks(*found);
  if (options.trial.library.empty() && !start.target.path.empty()) {
    start.jobs = plan_jobs(context.words, options.jobserver, own);
  }
  return start;
}

std::string no_jobserver(const std::string& why) {
  return "no jobserver: the build's jobs are not counted in the budget: " + why;
}

// Why the program cannot be governed; "" if it can.
std::string obstacle_in_words(const Start& start, const Options& options, const Context& context) {
  if (start.target.obstacle.empty()) return {};
  return fmt::format("'{}' {} and cannot be governed; corewise only sets environment variables{}",
                     printable(context.words.front(), false), start.target.obstacle,
                     options.report.empty() ? "" : ", and there is no report");
}

// What the reader of JSON finds there. Others read it on standard error.
std::vector<std::string> notes_of(const Start& start, const Options& options,
                                  const Context& context) {
  std::vector<std::string> notes;
  if (!options.remark.empty()) notes.push_back(options.remark);
  if (auto obstacle = obstacle_in_words(start, options, context); !obstacle.empty()) {
    notes.push_back(std::move(obstacle));
  }
  if (!start.jobs.why_not.empty()) notes.push_back(no_jobserver(start.jobs.why_not));
  return notes;
}

// In sentences.
void say(const Start& start, const Options& options, const Context& context) {
  if (!options.remark.empty() && speaks_for_ranks()) note(context.settings, options.remark);
  const std::string obstacle = obstacle_in_words(start, options, context);
  // Who wants a report is told why there is none.
  if (!obstacle.empty() && (!context.settings.quiet || !options.report.empty())) warn(obstacle);
  if (context.settings.quiet || !speaks_for_ranks()) return;
  std::string text;
  if (start.budget > 0) {
    text = fmt::format("governed, budget {}{}{}", start.budget, start.division,
                       start.jobs.server ? ", shared by its jobs" : "");
  } else if (!options.project_governs) {
    text = "not governed";
  }
  if (!start.counts.set.empty()) {
    text += fmt::format("{}set {}", text.empty() ? "" : "; ", said(start.counts));
  }
  if (!text.empty() && !options.project.empty()) {
    text += fmt::format(" ({})", printable(options.project, false));
  }
  if (!text.empty()) note(context.settings, text);
  if (!start.jobs.why_not.empty()) note(context.settings, no_jobserver(start.jobs.why_not));
}

void say_as_json(const Start& start, const ProvidedJobs& jobs, std::vector<std::string> notes) {
  Changes all = start.counts;
  all.set.insert(all.set.end(), start.agent.set.begin(), start.agent.set.end());
  if (!jobs.makeflags.empty()) all.set.push_back({kMakeflags, jobs.makeflags});
  if (!jobs.why_not.empty()) notes.push_back(no_jobserver(jobs.why_not));
  write_err(changes_json(all, RunStart{start.budget, std::move(notes)}));
}

// Runs in the process that becomes the program. `tell` says why a build gets no jobserver after
// all, where nothing is told as JSON.
int become_program(const Start& start, const Options& options, const Context& context,
                   const std::function<void(const std::string&)>& tell = warn) {
  const os::LiveMachine machine;
  if (start.budget > 0 && !binding_request(machine).empty()) {
    ::setenv(thread_binding::kLaunched, thread_binding::launched_value(machine).c_str(), 1);
  }
  const ProvidedJobs jobs = provide_jobs(start.jobs, context.words);
  if (start.told_as_json) {
    say_as_json(start, jobs, notes_of(start, options, context));
  } else if (!jobs.why_not.empty() && (!context.settings.quiet || !options.report.empty())) {
    tell(no_jobserver(jobs.why_not));
  }
  return become(jobs.words, start.target, "run");
}

// Whether to wait for the program in order to tell the user that a name in `bend` matched nothing.
// Only the reports of all its processes together show that.
bool says_what_matches_nothing(const Context& context) {
  return !variable("COREWISE_BEND").empty() && variable("COREWISE_REPORT_FILE").empty() &&
         !context.settings.quiet && !context.settings.json && speaks_for_ranks();
}

// Returns the program's status, as waitpid returns it.
Result<int> start_and_report(const Options& options, const Start& start, const Context& context) {
  const auto file = ReportFile::make();
  if (!file && options.report.empty()) return become_program(start, options, context);
  if (!file) return file.error();
  ::setenv("COREWISE_REPORT_FILE", file->path().c_str(), 1);
  const bool json = options.report == "json" || context.settings.json;
  // For what the child tells before it becomes the program.
  std::array<int, 2> ends{-1, -1};
  const bool hears = json && ::pipe2(ends.data(), O_CLOEXEC | O_NONBLOCK) == 0;
  const auto tell = [&](const std::string& why) {
    if (!hears || ::write(ends[1], why.data(), why.size()) < 0) warn(why);
  };
  const auto begin = std::chrono::steady_clock::now();
  Run run;
  run.status = wait_for_child([&] { return become_program(start, options, context, tell); });
  if (run.status < 0) {
    return Error{CW_IO_ERROR,
                 fmt::format("cannot start a process: {}", std::strerror(-run.status))};
  }
  run.words = context.words;
  run.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  run.budget = start.budget;
  run.notes = notes_of(start, options, context);
  std::array<char, PIPE_BUF> why{};
  const ssize_t length = hears ? ::read(ends[0], why.data(), why.size()) : 0;
  if (length > 0) run.notes.emplace_back(why.data(), static_cast<std::size_t>(length));
  // Pass on how the program ended, even if nobody reads what we write.
  ::signal(SIGPIPE, SIG_IGN);
  if (!options.report.empty()) {
    write_err(json ? report_json(file->read(), run)
                   : report_text(file->read(), run, style_for(context.settings, STDERR_FILENO)));
  } else if (const std::string line = unmatched_line(file->read()); !line.empty()) {
    note(context.settings, printable(line, false));
  }
  return run.status;
}

// A shared file reaches smaller machines too. There the machine's own, lower budget holds, and a
// remark says so.
void take_budget(const Project& project, Options& options) {
  const os::LiveMachine machine;
  const auto own = compute_budget(machine);
  if (own && !compute_budget(machine, project.budget)) {
    options.remark = fmt::format("{}: budget {} is above this machine: it gets {}",
                                 printable(project.path, false), format_cpus(*project.budget),
                                 cpus_in_words(own->cpus));
    return;
  }
  options.budget = fmt::format("{}", *project.budget);
}

bool is_about_governing(const Options& options) {
  return options.govern || options.budget || options.group || options.weight || options.share ||
         options.jobserver || !options.report.empty() || !options.trial.library.empty();
}

// Takes from the nearest corewise.toml what neither the command line nor the environment sets.
std::optional<Error> add_project(Options& options) {
  std::error_code nowhere;
  const auto found = find_project(std::filesystem::current_path(nowhere).string());
  if (!found) return found.error();
  if (!*found) return std::nullopt;
  const Project& project = **found;
  options.project = project.path;
  for (const auto& [kind, count] : project.limits) {
    // TBB and Arrow have no variable; %load_ext in Python limits them.
    if (kind != "tbb" && kind != "arrow") options.project_counts.emplace(kind, count);
  }
  if (options.no_govern) return std::nullopt;
  if (project.govern == false && !is_about_governing(options)) {
    options.no_govern = true;
    options.project_governs = false;
    return std::nullopt;
  }
  if (project.budget && !options.budget && variable("COREWISE_BUDGET").empty()) {
    take_budget(project, options);
  }
  if (project.group && variable("COREWISE_GROUP").empty() && !options.group) {
    options.group = project.group;
  }
  if (variable("COREWISE_WEIGHT").empty() && !options.weight) options.weight = project.weight;
  if (variable("COREWISE_SHARE").empty() && !options.share) options.share = project.share;
  options.bend = project.bend;
  return std::nullopt;
}

std::optional<std::string> refuse_trial(const Options& options) {
  const std::string& library = options.trial.library;
  if (library.find(':') != library.npos) {
    return fmt::format("--try-bend takes one library's name, without ':', not '{}'",
                       printable(library, false));
  }
  if (library.empty() && (options.trial.tries || options.trial.seed || options.trial.verbose)) {
    return "--tries, --seed and --verbose go with --try-bend";
  }
  if (!library.empty() && !options.report.empty()) {
    return "--try-bend has a report of its own: leave --report out";
  }
  return std::nullopt;
}

int run_trial(const Options& options, const Start& start, const Context& context) {
  if (start.budget == 0) {
    return fail(kNothingTried,
                fmt::format("run: '{}' {}: it cannot be governed, so nothing can be tried",
                            printable(context.words.front(), false), start.target.obstacle));
  }
  Trial trial = options.trial;
  // By now the variable may hold our own copy of the file's names.
  trial.named_by.push_back({options.project, options.bend});
  trial.named_by.push_back(
      {"COREWISE_BEND", govern::names_between_colons(variable("COREWISE_BEND"))});
  return try_bend(
      trial, context.words, [&] { return become_program(start, options, context); },
      context.settings);
}

int run(Options options, const Context& context) {
  if (context.words.empty() || context.words.front().empty()) {
    return fail(kUsage, "run: no command to start",
                "put it after --: corewise run -- python train.py");
  }
  const bool tries = !options.trial.library.empty();
  if (options.group && options.group->empty()) {
    return fail(kUsage, "run: --group takes a name",
                "without --group, the budget is shared with "
                "your programs of the same CPUs and budget");
  }
  if (options.no_govern && is_about_governing(options)) {
    return fail(kUsage,
                "run: --govern, --budget, --group, --weight, --share, --jobserver, --report and "
                "--try-bend are about governing, which --no-govern leaves out");
  }
  if (const auto wrong = refuse_trial(options)) return fail(kUsage, "run: " + *wrong);
  if (const auto error = add_project(options)) {
    return fail(kUsage, "run: " + error->what, "nothing was started");
  }
  auto counts = changes_for(*options.counts);
  if (!counts) return fail(kUsage, "run: " + counts.error().what);
  if (const auto error = add_defaults(options.project_counts, *counts)) {
    return fail(kUsage, fmt::format("run: {}: {}", options.project, error->what));
  }
  if (options.no_govern && options.project_governs && counts->set.empty() &&
      options.project_counts.empty()) {
    return fail(kUsage, "run: nothing to limit",
                "give --openmp N, --blas N or another limit, or leave --no-govern out");
  }
  // If a governed program started us, the user has already seen the remark.
  if (variable("COREWISE_GOVERN") == "1") options.remark.clear();
  auto start = prepare(options, *std::move(counts), context);
  if (!start) return fail(exit_for(start.error().status), "run: " + start.error().what);
  // become() says why the program cannot start.
  if (start->target.path.empty()) return become(context.words, start->target, "run");
  const bool quiet = context.settings.quiet || !speaks_for_ranks();
  start->told_as_json = context.settings.json && !tries && !quiet;
  const bool report_is_json = options.report == "json" && start->budget > 0;
  if (tries) {
    if (!options.remark.empty() && !quiet) note(context.settings, options.remark);
  } else if (!start->told_as_json && !report_is_json) {
    say(*start, options, context);
  }
  apply(start->counts);
  apply(start->agent);
  if (tries) return run_trial(options, *start, context);
  const bool waits = !options.report.empty() || says_what_matches_nothing(context);
  if (!waits || start->budget == 0) return become_program(*start, options, context);
  const auto status = start_and_report(options, *start, context);
  return status ? end_like(*status) : fail(kFailed, "run: " + status.error().what);
}

Action declare(CLI::App& app) {
  auto options = std::make_shared<Options>();
  app.add_option_function<std::string>(
         "--budget", [options](const std::string& text) { options->budget = text; },
         "Threads that may run at a time: a number, rounded down, at most the machine's CPUs "
         "(default: the CPUs that you may use). OpenBLAS starts no more either")
      ->type_name("N");
  app.add_option_function<std::string>(
         "--group", [options](const std::string& text) { options->group = text; },
         "Share the budget only with programs of this group (default: with your programs of the "
         "same CPUs and budget)")
      ->type_name("NAME");
  app.add_option_function<int>(
         "--weight", [options](const int& weight) { options->weight = weight; },
         "From 1 to 100: its share of a budget that other programs want too. With 40 it gets four "
         "times as much as a program with 10, the default")
      ->type_name("N")
      ->check(whole_number(1, govern::kMostWeight));
  app.add_option_function<std::string>(
         "--share", [options](const std::string& with) { options->share = with; },
         "With whom to divide the CPUs: 'user', the default, among your own programs; 'machine' "
         "also with other users who choose this too, each a fair part")
      ->type_name("user|machine")
      ->check(one_of({std::string(govern::kShareMachine), std::string(govern::kShareUser)}));
  app.add_flag_callback(
      "--jobserver", [options] { options->jobserver = true; },
      "Let make and other build tools that the command starts share the budget. Do not give those "
      "tools -j. `make -j`, ninja and cargo do so without this option");
  app.add_flag_callback(
      "--no-jobserver", [options] { options->jobserver = false; },
      "Leave the jobs of make -j, ninja and cargo out of the budget");
  app.add_flag("--report{text}", options->report,
               "Wait for the program, then say on standard error how many threads its processes "
               "asked for and got; --report=json for JSON")
      ->check(one_of({"text", "json"}));
  app.add_option("--try-bend", options->trial.library,
                 "Try whether the library of this name gives the same results from smaller "
                 "teams: run the program whole, then with its teams cut at random, and compare "
                 "standard output and exit code")
      ->type_name("NAME")
      ->check(
          [](const std::string& name) { return name.empty() ? "takes the name of a library" : ""; },
          "");
  app.add_option_function<int>(
         "--tries", [options](const int& tries) { options->trial.tries = tries; },
         "Runs with cut teams (default: 5)")
      ->type_name("N")
      ->check(whole_number(1, 10000));
  app.add_option_function<std::uint32_t>(
         "--seed", [options](const std::uint32_t& seed) { options->trial.seed = seed; },
         "Seed of the first run with cut teams; the next ones count up (default: any)")
      ->type_name("N")
      ->check(whole_number(0, std::numeric_limits<std::uint32_t>::max()));
  app.add_flag("--verbose", options->trial.verbose,
               "With --try-bend, also what the program prints, on standard error");
  app.add_flag("--govern", options->govern, "Govern, even if corewise.toml says `on = false`");
  app.add_flag("--no-govern", options->no_govern, "Only set the limits that you give");
  options->counts = declare_counts(app);
  return [options](const Context& context) { return run(*options, context); };
}

}  // namespace

const Command kRun = {
    .name = "run",
    .summary = "Start a program governed: inside one thread budget, whatever it starts",
    .about =
        "Starts a program that shares your CPUs with all processes that it starts. Each BLAS call "
        "gets the threads that are free. So does each OpenMP loop of a library that is proven to "
        "give the same results with fewer threads (it bends). Other loops get all threads that "
        "they ask for.\n"
        "\n"
        "The program needs no change: corewise loads libcorewise.so into it with LD_PRELOAD. The "
        "program takes the place of corewise: its output, signals and exit code are its own, also "
        "with --report.\n"
        "\n"
        "Options such as --openmp N set limits through the environment variables that libraries "
        "read when they load. A program may start fewer threads. Without --blas, BLAS libraries "
        "follow "
        "OMP_NUM_THREADS if none of their own variables is set. Without --blas and --openmp, "
        "and if the budget has fewer threads than there are CPUs, corewise sets "
        "GOTO_NUM_THREADS to the budget, because OpenBLAS would start a thread per CPU when "
        "it loads. If you have set GOTO_NUM_THREADS, OMP_NUM_THREADS or a variable of OpenBLAS, "
        "corewise leaves them alone. corewise removes variables that would overrule a limit, such "
        "as "
        "MKL_DOMAIN_NUM_THREADS and BLIS_JC_NT. What the program sets later wins.\n"
        "\n"
        "With a budget of yours below the number of CPUs (--budget, COREWISE_BUDGET or "
        "corewise.toml), corewise also sets the variables of libraries that it cannot limit at "
        "each call: RAYON_NUM_THREADS, POLARS_MAX_THREADS, OPENCV_FOR_THREADS_NUM and "
        "TensorFlow's, and those that say how many processes a pool starts: PYTHON_CPU_COUNT, "
        "LOKY_MAX_CPU_COUNT and PYTEST_XDIST_AUTO_NUM_WORKERS. Variables that you have set stay as "
        "they are.\n"
        "\n"
        "If the command itself is make -j, ninja or cargo, its jobs take turns on the budget too, "
        "by GNU make's jobserver; a number of jobs that you give is an upper bound. --jobserver "
        "does that for any other command, such as a script that runs make. docs/jobserver.md says "
        "which versions can.\n"
        "\n"
        "Defaults come from the nearest corewise.toml, in the working directory or above: "
        "limits in [limits] (openmp, blas, numba), and on, budget, group, weight, share and "
        "bend in [govern]. The command line and the environment win over it. If its budget is "
        "above this machine, corewise says so and uses all your CPUs.\n"
        "\n"
        "With --try-bend, the program runs twice with whole teams, then several times with the "
        "teams of one library cut at random. It reads nothing from standard input. The verdict "
        "comes first. Exit code 0: the library bends (a smaller team gives the same results); 10: "
        "it does not; 11: nothing was tried; 12: the program is not reproducible. A run that takes "
        "20 times as long as the whole one, and at least 10 seconds, counts as hanging and is "
        "killed.\n"
        "\n"
        "corewise cannot govern a program that is statically linked, setuid or made for "
        "another machine. It says so, except with -q, and the program runs with limits within the "
        "budget.",
    .example =
        "corewise run -- python train.py\n"
        "corewise run --budget 8 --report -- python train.py\n"
        "corewise run --group work -- make -j\n"
        "corewise run --no-govern --openmp 8 --blas 4 -- python train.py\n"
        "corewise run --try-bend libmine -- python train.py",
    .declare = declare,
    .takes_command = true,
};

}  // namespace corewise::cli
