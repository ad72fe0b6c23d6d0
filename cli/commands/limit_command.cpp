// corewise limit: limits the pools of a running process to fewer threads.
#include <fmt/format.h>

#include <optional>

#include "base/text.h"
#include "control/answer_records.h"
#include "limits/rule.h"
#include "pools/pool.h"
#include "reach/control_client.h"
#include "reach/force.h"
#include "reach/missing_pools.h"
#include "screen/layout.h"
#include "shell/commands.h"
#include "shell/exit_codes.h"
#include "shell/process_choice.h"
#include "start/thread_variables.h"

namespace corewise::cli {
namespace {

using control::LimitAnswer;
using control::PoolOutcome;
using control::Request;

struct Options {
  std::optional<std::string> pid;
  std::vector<std::pair<std::string, std::string>> limits;  // API and count
  std::vector<std::string> pools;                           // NAME=N
  bool restore = false;
  bool dry_run = false;
  bool force = false;
};

Result<std::vector<Rule>> read_rules(const Options& options) {
  std::vector<Rule> rules;
  for (const auto& [api, text] : options.limits) {
    const auto count = parse_count(api, text);
    if (!count) return count.error();
    rules.push_back({CW_MATCH_API, api, 0, *count});
  }
  for (const std::string& word : options.pools) {
    const std::size_t equals = word.rfind('=');
    if (equals == word.npos || equals == 0) {
      return Error{CW_BAD_ARGUMENT, fmt::format("--pool takes NAME=N, as in libgomp=4, not '{}'",
                                                printable(word, false))};
    }
    const auto count = parse_count("pool", word.substr(equals + 1));
    if (!count) return count.error();
    rules.push_back({CW_MATCH_NAME, word.substr(0, equals), 0, *count});
  }
  return rules;
}

// `limited`: the limit is in force. Where each thread has its own count, only the limit is known.
std::string count_of(int count, const PoolOutcome& pool, bool limited) {
  if (count > 0) return std::to_string(count);
  return limited && pool.at_most > 0 ? fmt::format("at most {}", pool.at_most) : "?";
}

// Each pool's count before and `after`; `limited_now`: the limit is in force now, and not before.
std::string table_of(const std::vector<PoolOutcome>& pools, bool limited_now, const char* after,
                     const Style& style) {
  std::vector<std::vector<std::string>> rows;
  for (const PoolOutcome& pool : pools) {
    rows.push_back({pool.api, count_of(pool.before, pool, !limited_now),
                    count_of(pool.after, pool, limited_now),
                    printable(name_with_package(pool.runtime, pool.path), style.unicode),
                    printable(file_name(pool.path), style.unicode)});
  }
  return table({{"API"}, {"BEFORE", true}, {after, true}, {"RUNTIME"}, {"LIBRARY"}}, rows, style);
}

// How far the limit reaches, or why not, and the runtimes of which that is true.
std::string reaches_of(const std::vector<PoolOutcome>& pools, const Style& style) {
  std::vector<std::pair<std::string, std::string>> reaches;
  for (const PoolOutcome& pool : pools) {
    std::string reach = pool.reach;
    if (!pool.reason.empty()) reach += " (" + printable(pool.reason, style.unicode) + ")";
    auto known = std::ranges::find(reaches, reach, &std::pair<std::string, std::string>::first);
    if (known == reaches.end()) known = reaches.insert(known, {reach, ""});
    if (known->second.find(pool.runtime) == std::string::npos) {
      known->second += (known->second.empty() ? "" : ", ") + pool.runtime;
    }
  }
  std::string out;
  for (const auto& [reach, runtimes] : reaches) {
    out += folded(fmt::format("{}: reaches {}.", runtimes, reach), 0, 2, style.width) + "\n";
  }
  return out;
}

void show(const LimitAnswer& answer, const Context& context) {
  const Style style = style_for(context.settings);
  const auto line = [&](const std::string& text) { return folded(text, 0, 2, style.width) + "\n"; };
  const std::string none = missing_pools(answer);
  if (answer.outcomes.empty()) return write_out(folded_lines(none, 2, style.width));
  std::string out = table_of(answer.outcomes, true, answer.dry_run ? "WOULD BE" : "NOW", style);
  if (!context.settings.quiet) {
    out += '\n' + reaches_of(answer.outcomes, style);
    if (!none.empty()) out += line(none);
    const bool written = std::ranges::any_of(
        answer.outcomes, [](const PoolOutcome& pool) { return pool.after < pool.before; });
    if (answer.forced && written) {
      out += line(answer.dry_run ? "This would write into the memory of the process, and could not "
                                   "be undone from outside."
                                 : "Written into the memory of the process: it cannot be undone "
                                   "from outside, not even with --restore.");
    }
    if (answer.dry_run) out += "Dry run: nothing was changed.\n";
  }
  write_out(out);
}

int restore(int pid, const Context& context) {
  bool connected = false;
  // Of a process without a socket nothing is limited: none is opened in it.
  const auto answer =
      ask_process(pid, {.command = Request::Command::kRestore}, kCommandPatienceMs, &connected);
  if (!answer && !connected && answer.error().status == CW_NOT_AVAILABLE) {
    return fail(kNoAgent,
                fmt::format("limit: process {} has no control socket, so `corewise limit` "
                            "limits nothing in it",
                            pid));
  }
  if (!answer) return fail_to_ask(answer.error(), connected, "limit", pid);
  const auto restored = control::RestoreAnswer::read(answer->value).restored;
  const Style style = style_for(context.settings);
  write_out(context.settings.json ? answer->text + "\n"
            : restored.empty()
                ? folded_lines("Nothing was limited over the control socket.", 2, style.width)
                : table_of(restored, false, "NOW", style));
  return kOk;
}

int tell(const LimitAnswer& answer, const std::string& json, const Context& context) {
  context.settings.json ? write_out(json + "\n") : show(answer, context);
  return answer.taken() ? kOk : kNotTaken;
}

int limit_to(const std::vector<Rule>& rules, int pid, const Options& options,
             const Context& context) {
  bool connected = false;
  const Request request{
      .command = Request::Command::kLimit, .rules = rules, .dry_run = options.dry_run};
  // To open a socket would change the process.
  const auto answer = options.dry_run ? ask_process(pid, request, kCommandPatienceMs, &connected)
                                      : ask_or_enter(pid, request, &connected);
  if (answer) return tell(LimitAnswer::read(answer->value), answer->text, context);
  if (connected || answer.error().status != CW_NOT_AVAILABLE) {
    return fail_to_ask(answer.error(), connected, "limit", pid);
  }
  if (options.dry_run && !options.force) {
    return fail(
        kNoAgent,
        fmt::format("limit: process {} has no control socket, and a dry run opens none", pid),
        "without --dry-run, corewise opens one in a Jupyter kernel or Python 3.14");
  }
  if (!options.force) {
    return fail(kNoAgent, "limit: " + printable(answer.error().what, false),
                "start it with `corewise run`, or import corewise in it. Where it runs OpenBLAS, "
                "--force writes smaller counts into its memory, which cannot be undone");
  }
  const auto forced = limit_by_force(pid, rules, options.dry_run);
  if (!forced) return fail_to_ask(forced.error(), connected, "limit", pid);
  return tell(*forced, forced->json(), context);
}

int limit(const Options& options, const Context& context) {
  const bool counts = !options.limits.empty() || !options.pools.empty();
  if (!options.pid) {
    return fail(kUsage, "limit: --pid is missing",
                "corewise limit --pid 4711 --blas 4; `corewise top` lists the processes");
  }
  const int pid = parse_pid(*options.pid);
  if (pid == 0) {
    return fail(kUsage, fmt::format("limit: --pid takes the number of a process, not '{}'",
                                    printable(*options.pid, false)));
  }
  if (counts == options.restore) {
    return fail(kUsage, options.restore ? "limit: --restore takes no limits"
                                        : "limit: give --blas N, --openmp N, another limit, or "
                                          "--restore");
  }
  if (options.restore && (options.dry_run || options.force)) {
    return fail(kUsage, fmt::format("limit: --restore takes no --{}",
                                    options.dry_run ? "dry-run" : "force"));
  }
  const auto asked = read_rules(options);
  if (!asked) return fail(kUsage, "limit: " + asked.error().what);
  return options.restore ? restore(pid, context) : limit_to(*asked, pid, options, context);
}

Action declare(CLI::App& app) {
  auto options = std::make_shared<Options>();
  app.add_option_function<std::string>(
         "-p,--pid", [options](const std::string& text) { options->pid = text; },
         "The process: one that `corewise run` started, a Python that imported corewise, a Jupyter "
         "kernel, or Python 3.14")
      ->type_name("PID");
  for (const char* api : kApiNames) {
    app.add_option_function<std::string>(
           fmt::format("--{}", api),
           [options, api](const std::string& text) { options->limits.emplace_back(api, text); },
           fmt::format("The most threads of each {} pool", api))
        ->type_name("N");
  }
  app.add_option(
         "--pool", options->pools,
         "The most threads of the pools of that runtime, file-name prefix, package or library file")
      ->type_name("NAME=N");
  app.add_flag("--restore", options->restore, "End all limits of this command");
  app.add_flag(
      "--force", options->force,
      "If there is no control socket, write the counts of OpenBLAS into its memory; cannot "
      "be undone");
  app.add_flag("--dry-run", options->dry_run, "Say what would change, and change nothing");
  return [options](const Context& context) { return limit(*options, context); };
}

}  // namespace

const Command kLimit = {
    .name = "limit",
    .summary = "Give the pools of a running process fewer threads",
    .about =
        "Gives the thread pools of a running process fewer threads, even in the middle of a "
        "long native call.\n"
        "\n"
        "A limit applies from the next call or parallel region of each thread on. It reaches "
        "all OpenBLAS calls and the OpenMP regions of libraries that give the same results "
        "with fewer threads. For all other OpenMP regions it does what omp_set_num_threads "
        "would do in each thread, so a region with a num_threads clause keeps its size. For oneTBB "
        "and Arrow it sets the thread count of the whole process. A limit never raises the "
        "program's own number, which applies again after --restore.\n"
        "\n"
        "corewise asks the process through its control socket. A process may have none, and no way "
        "to get one. corewise leaves it alone, unless you give --force: then it writes smaller "
        "OpenBLAS counts into the memory of the process. That needs root or the rights of ptrace. "
        "You cannot undo it, not even with --restore.\n"
        "\n"
        "A new limit for the same pool replaces the old one; others stay. Limits last until "
        "--restore or the end of the process, and apply to libraries that it loads later.",
    .example =
        "corewise limit --pid 4711 --blas 4 --openmp 8\n"
        "corewise limit --pid 4711 --pool libgomp=2 --dry-run\n"
        "corewise limit --pid 4711 --restore",
    .declare = declare,
};

}  // namespace corewise::cli
