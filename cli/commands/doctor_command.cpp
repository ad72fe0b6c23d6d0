// corewise doctor: what is wrong with the thread pools of a program, why, and what to do.
#include <fmt/chrono.h>
#include <fmt/format.h>
#include <sys/wait.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstring>
#include <ctime>
#include <map>
#include <optional>
#include <set>
#include <thread>
#include <utility>

#include "advice/doctor.h"
#include "advice/sentences.h"
#include "control/answer_records.h"
#include "death/death.h"
#include "facts/process_facts.h"
#include "govern/ledger/ledger_holders.h"
#include "govern/pool_policy.h"
#include "observe/sample_record.h"
#include "outcome/watched_run.h"
#include "python/import_modules.h"
#include "reach/control_client.h"
#include "reach/process_name.h"
#include "screen/finding_list.h"
#include "screen/layout.h"
#include "shell/commands.h"
#include "shell/exit_codes.h"
#include "shell/process_choice.h"
#include "shell/quoting.h"
#include "start/library.h"
#include "start/target.h"

namespace corewise::cli {
namespace {

using control::Request;

struct Options {
  std::shared_ptr<ImportChoice> import;
  std::shared_ptr<ProcessChoice> process;
  bool last = false;
};

std::string json_of(const Imported& imported) {
  Json json;
  json.open('{').field("schema_version", 1);
  write_failed_imports(json, imported);
  write_findings(json.key("findings"), by_severity(imported.findings));
  return json.close('}').text() + "\n";
}

// The modules that were imported.
std::vector<std::string> seen(const ImportChoice& choice, const Imported& imported) {
  std::vector<std::string> modules = choice.modules;
  std::erase_if(modules, [&](const std::string& module) {
    return std::ranges::find(imported.failed, module, &FailedImport::module) !=
           imported.failed.end();
  });
  return modules;
}

int of_modules(const ImportChoice& choice, const Context& context) {
  return with_imports(choice, ImportTask::kFindings, context.settings, kNotExamined,
                      [&](const Imported& imported, const std::string&) -> int {
                        const std::string about =
                            fmt::format("{}", fmt::join(seen(choice, imported), ", "));
                        if (context.settings.json) {
                          write_out(json_of(imported));
                          return exit_for_findings(imported.findings);
                        }
                        // Of modules that were not imported nobody knows what is wrong.
                        if (about.empty()) return kNotExamined;
                        return show_findings(imported.findings, about, context);
                      });
}

// Workers that run while no thread is inside their pool, by pool; empty if the process cannot tell.
std::map<std::string, int> ask_who_spins(int pid) {
  std::map<std::string, int> spinning;
  const auto answer = ask_process(pid, {.command = Request::Command::kSample}, 500);
  if (!answer) return spinning;
  for (const observe::SampledPool& pool : observe::read_sample(answer->value).pools) {
    const int running = pool.spinning.value_or(0);
    if (running > 0) spinning[pool.facts.path] = running;
  }
  return spinning;
}

// Asks twice, so that workers about to fall asleep do not count.
void ask_what_spins(int pid, ProcessFacts& facts) {
  std::map<std::string, int> spinning = ask_who_spins(pid);
  if (spinning.empty()) return;
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  std::map<std::string, int> again = ask_who_spins(pid);
  for (PoolFacts& pool : facts.pools) {
    pool.spinning = std::min(spinning[pool.path], again[pool.path]);
  }
}

// Adds the counts and limits that only the process itself knows.
void ask_what_is_limited(int pid, ProcessFacts& facts) {
  const auto answer = ask_process(pid, {.command = Request::Command::kInfo}, 500);
  if (!answer) return;
  const auto told = control::InfoAnswer::read(answer->value);
  // An earlier version does not tell.
  facts.answers = answer->value.find("limits_open") != nullptr;
  facts.corewise_limits_open = told.limits_open;
  for (const auto& one : told.pools) {
    for (PoolFacts& pool : facts.pools) {
      if (pool.path != one.facts.path || pool.runtime != one.facts.runtime) continue;
      pool.limit = one.limit;
      // In memory is what the last call got; the process knows what the program has set.
      if (one.facts.threads > 0 && one.facts.scope != CW_SCOPE_THREAD) {
        pool.threads = one.facts.threads;
      }
      if (pool.limit > 0) pool.threads = std::min(pool.threads, pool.limit);
    }
  }
}

// Adds what only the process itself knows. Returns whether the process answers.
bool ask_what_is_governed(int pid, ProcessFacts& facts) {
  const auto answer = ask_process(pid, {.command = Request::Command::kReport}, 500);
  if (!answer) return false;
  const auto told = control::GovernAnswer::read(answer->value);
  if (!told.governed) return true;
  for (const auto& governed : told.report.pools) {
    if (!govern::GovernedPool::has_gate_called(governed.how)) continue;
    for (PoolFacts& pool : facts.pools) {
      if (pool.path == governed.path) pool.governed = true;
    }
  }
  return true;
}

// A process that answers can be governed in place: the user need not restart it.
void govern_it_now(std::vector<Finding>& findings, int pid) {
  for (Finding& finding : findings) {
    std::string& cure = finding.cures.shell;
    if (!cure.starts_with("start it as corewise run")) continue;
    cure = fmt::format("corewise govern --pid {}; next time {}", pid, cure);
  }
}

int of_process(const ProcessChoice& choice, const Context& context) {
  return with_process(
      choice, "doctor", kNotExamined,
      [&](const outside::Process& process, const std::string& folder) {
        const std::string about =
            process.pid > 0 ? fmt::format("process {}", process.pid) : "the recording";
        ProcessFacts facts = facts_of_process(process, folder);
        bool answers = false;
        if (process.pid > 0) {
          answers = ask_what_is_governed(process.pid, facts);
          ask_what_is_limited(process.pid, facts);
          ask_what_spins(process.pid, facts);
        }
        std::vector<Finding> findings = examine(facts);
        if (answers) govern_it_now(findings, process.pid);
        const int code = show_findings(findings, about, context);
        if (!context.settings.quiet && !context.settings.json) say_notes(process);
        // Without counts most rules have nothing to go by.
        return code == kOk && process.memory_refused ? static_cast<int>(kMemoryRefused) : code;
      });
}

// What killed one of these processes, if it has left a report of its death since then.
std::vector<Finding> deaths_since(std::time_t begin, const std::set<int>& members) {
  const auto last = death::last_death();
  if (!last || !*last || (*last)->time < begin || !members.contains((*last)->pid)) return {};
  std::vector<Finding> findings = death::explain(**last);
  findings.front().what = death::headline(**last);
  return findings;
}

// The command itself, where a cure says "...", if it is short enough to be read there.
void name_the_command(std::vector<Finding>& findings, const std::string& command) {
  constexpr std::size_t kLongest = 80;
  constexpr std::string_view kAny = "-- ...";
  if (command.size() > kLongest) return;
  for (Finding& finding : findings) {
    std::string& cure = finding.cures.shell;
    if (const auto at = cure.find(kAny); at != cure.npos) {
      cure.replace(at, kAny.size(), "-- " + command);
    }
  }
}

int of_command(const Context& context) {
  const Result<std::string> library = find_library();
  if (!library) return fail(kNotExamined, library.error().what);
  const std::string name = printable(context.words.front(), false);
  const Target target = find_target(context.words);
  if (target.path.empty()) return become(context.words, target, "doctor");
  const std::time_t begin = std::time(nullptr);
  const auto watched = run_watched(context.words, target, *library);
  if (!watched) {
    return fail(kCannotStart,
                fmt::format("doctor: cannot start '{}': {}", name, watched.error().what));
  }
  const int status = watched->status;
  const std::vector<Finding> deaths =
      status != 0 ? deaths_since(begin, watched->members) : std::vector<Finding>();
  if (WIFSIGNALED(status)) {
    warn(fmt::format("'{}' was killed by signal {} ({}){}", name, WTERMSIG(status),
                     ::strsignal(WTERMSIG(status)),
                     deaths.empty()
                         ? ". Start it with `corewise run -- ...`: if it dies again, `corewise "
                           "doctor --last` says why"
                         : ""));
  } else if (WEXITSTATUS(status) != 0) {
    warn(fmt::format("'{}' ended with code {}", name, WEXITSTATUS(status)));
  }
  std::vector<Finding> findings = deaths;
  merge(findings, watched->findings);
  if (watched->processes == 0) {
    warn(fmt::format("corewise saw no thread pool in '{}': it ended too soon, or has none", name));
    // Of a program without pools nothing is wrong; of one that failed, nobody knows.
    if (status != 0 && findings.empty() && !context.settings.json) return kNotExamined;
  }
  name_the_command(findings, for_shell(context.words));
  constexpr int kLongestName = 60;
  const bool unicode = style_for(context.settings).unicode;
  const std::string about = cut_off(name_for(context.words, ""), kLongestName, unicode);
  return show_findings(findings, about, context);
}

constexpr const char* kNoReport =
    "No process left a report of its death. One does only if it had loaded corewise: start it with "
    "`corewise run -- ...`, or load corewise in it. If it wrote \"OpenBLAS warning: precompiled "
    "NUM_THREADS exceeded\" or \"double free or corruption\", `corewise run` is the cure as well.";

// "2 minutes ago"
std::string ago(std::time_t seconds) {
  constexpr std::array<std::pair<std::time_t, const char*>, 3> kUnits = {
      {{86400, "day"}, {3600, "hour"}, {60, "minute"}}};
  for (const auto& [size, unit] : kUnits) {
    if (seconds >= size) return rules::plural(static_cast<int>(seconds / size), unit) + " ago";
  }
  return "less than a minute ago";
}

int of_last_death(const Context& context) {
  const auto last = death::last_death();
  if (!last) {
    return fail(kNotExamined, "doctor: the newest report: " + printable(last.error().what, false),
                "it may have been cut short by a full disk; without it, the one before is shown");
  }
  const std::optional<death::Death>& death = *last;
  if (context.settings.json) {
    write_out(death::death_json(death) + "\n");
    return death ? kFailed : kOk;
  }
  if (!death) {
    write_out(folded_lines(kNoReport, 0, style_for(context.settings).width));
    return kOk;
  }
  const std::time_t when = death->time;
  std::vector<Finding> findings = death::explain(*death);
  findings.front().what = death::headline(*death);
  return show_findings(
      findings,
      fmt::format("{}, process {}, which died {}, on {:%d %B %Y, %H:%M:%S}, with {} ({})",
                  death::name_of(*death), death->pid, ago(std::time(nullptr) - when),
                  fmt::localtime(when), rules::plural(death->threads, "thread"), death->program),
      context);
}

int doctor(const Options& options, const Context& context) {
  const bool imports = !options.import->modules.empty();
  const bool process = options.process->pid || options.process->recorded;
  const int asked = (imports ? 1 : 0) + (options.process->pid ? 1 : 0) +
                    (options.process->recorded ? 1 : 0) + (context.words.empty() ? 0 : 1) +
                    (options.last ? 1 : 0);
  if (asked > 1) {
    return fail(kUsage,
                "doctor: give only one of --import, --pid, --recorded, --last and a command");
  }
  if (const auto why = python_without_modules(*options.import)) {
    return fail(kUsage, fmt::format("doctor: {}", *why));
  }
  if (options.last) return of_last_death(context);
  if (imports) return of_modules(*options.import, context);
  if (process) return of_process(*options.process, context);
  if (!context.words.empty()) return of_command(context);
  ProcessFacts here = facts_of_this_process();
  here.ledgers = govern::held_ledgers();
  return show_findings(examine(here), "the variables that are set here", context);
}

Action declare(CLI::App& app) {
  auto options = std::make_shared<Options>();
  options->import =
      declare_import(app, "Import these modules in a Python of their own and examine it");
  options->process =
      declare_process(app, "Examine a running process, from outside",
                      "Examine a process recorded in a folder laid out like /proc/PID");
  app.add_flag("--last", options->last, "Say why the last process died that had corewise loaded");
  return [options](const Context& context) { return doctor(*options, context); };
}

}  // namespace

const Command kDoctor = {
    .name = "doctor",
    .summary = "Find what is wrong with a program's thread pools, and say what to do",
    .about =
        "Examines Python modules, a running process, or a command while it runs, and says for each "
        "finding what it is, why it matters and what to do. With none of them, examines the "
        "variables that are set here.\n"
        "\n"
        "A process that imported corewise or runs under 'corewise run' leaves a report when it "
        "dies of a signal like SIGSEGV. --last explains the newest report of this notebook, "
        "elsewhere of the working directory. If that one is more than an hour older than the "
        "newest of all, it explains the newest of all.\n"
        "\n"
        "The exit code is 0 where nothing is wrong or there are only notes, and 1 where there is a "
        "warning or a danger.\n"
        "\n"
        "A command's output goes to standard error. Python programs, also those that it starts, "
        "are asked from within as they end. Others, and those that crash, are looked at from "
        "outside while they run; from there, corewise sees only the OpenMP count that a program "
        "starts with.",
    .example =
        "corewise doctor -i numpy scipy sklearn\n"
        "corewise doctor --pid 4711\n"
        "corewise doctor -- python train.py\n"
        "corewise doctor --last\n"
        "corewise doctor --json -- ./simulation | jq '.findings[].what'",
    .declare = declare,
    .takes_command = true,
    .hidden = false,
    .command_optional = true,
};

}  // namespace corewise::cli
