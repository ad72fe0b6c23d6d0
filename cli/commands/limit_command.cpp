// corewise limit: limits the pools of a running process to fewer threads.
#include <fmt/format.h>

#include <optional>

#include "base/json.h"
#include "base/text.h"
#include "limits/limit.h"
#include "pools/pool.h"
#include "reach/control_client.h"
#include "reach/force.h"
#include "screen/layout.h"
#include "shell/commands.h"
#include "shell/exit_codes.h"
#include "shell/process_choice.h"
#include "start/thread_variables.h"

namespace corewise::cli {
namespace {

struct Options {
  std::optional<std::string> pid;
  std::vector<std::pair<std::string, std::string>> limits;  // API and count
  std::vector<std::string> pools;                           // NAME=K
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
      return Error{CW_BAD_ARGUMENT, fmt::format("--pool wants NAME=K, as in libgomp=4, not '{}'",
                                                printable(word, false))};
    }
    const auto count = parse_count("pool", word.substr(equals + 1));
    if (!count) return count.error();
    rules.push_back({CW_MATCH_NAME, word.substr(0, equals), 0, *count});
  }
  return rules;
}

std::string request_for(const std::vector<Rule>& rules, const Options& options) {
  Json json;
  json.open('{').field("request", options.restore ? "restore" : "limit");
  if (options.restore) return json.close('}').text();
  for (const cw_match match : {CW_MATCH_API, CW_MATCH_NAME}) {
    json.key(match == CW_MATCH_API ? "limits" : "pools").open('{');
    for (const Rule& rule : rules) {
      if (rule.match == match) json.field(rule.name, rule.threads);
    }
    json.close('}');
  }
  return json.field("dry_run", options.dry_run).close('}').text();
}

// `limited`: the limit is in force. Where each thread has its own count, only the limit is known.
std::string count_at(const JsonValue& pool, const char* key, bool limited) {
  const double count = pool.number_at(key);
  if (count > 0) return fmt::format("{:.0f}", count);
  const double most = limited ? pool.number_at("at_most") : 0;
  return most > 0 ? fmt::format("at most {:.0f}", most) : "?";
}

std::string name_of(const JsonValue& pool) { return std::string(file_name(pool.text_at("path"))); }

// A sentence about the names that no pool has; "" if there are none.
std::string missing(const JsonValue& answer, const char* then) {
  std::vector<std::string> names;
  for (const JsonValue& name : answer.items_at("not_loaded")) {
    names.push_back(printable(name.text, false));
  }
  if (names.empty()) return {};
  return fmt::format("{}: no such pool is loaded{}.", fmt::join(names, ", "), then);
}

// Shows each pool's old and new count and how far that reaches; false if a pool kept its count.
bool show(const Answer& answer, const Options& options, const Context& context) {
  const Style style = style_for(context.settings);
  const char* key = options.restore ? "restored" : "outcomes";
  const std::vector<JsonValue>& pools = answer.value.items_at(key);
  std::vector<std::vector<std::string>> rows;
  std::vector<std::pair<std::string, std::string>> reaches;  // how far, and the runtimes
  bool taken = true;
  for (const JsonValue& pool : pools) {
    rows.push_back({pool.text_at("api"), count_at(pool, "before", options.restore),
                    count_at(pool, "after", !options.restore), pool.text_at("runtime"),
                    printable(name_of(pool), style.unicode)});
    std::string reach = pool.text_at("reach");
    const std::string reason = pool.text_at("reason");
    taken = taken && reason.empty();
    if (!reason.empty()) reach += " (" + printable(reason, style.unicode) + ")";
    auto known = std::ranges::find(reaches, reach, &std::pair<std::string, std::string>::first);
    if (known == reaches.end()) known = reaches.insert(known, {reach, ""});
    const std::string runtime = pool.text_at("runtime");
    if (known->second.find(runtime) == std::string::npos) {
      known->second += (known->second.empty() ? "" : ", ") + runtime;
    }
  }
  const bool forced = answer.value.find("forced") != nullptr;
  const std::string none =
      missing(answer.value, forced            ? ": nothing was changed"
                            : options.dry_run ? " now; the limit would apply when one loads"
                                              : " now; the limit applies when one loads");
  if (rows.empty()) {
    write_out(folded_lines(options.restore ? "Nothing was limited over the control socket." : none,
                           2, style.width));
    return !forced;
  }
  std::string out =
      table({{"API"}, {"BEFORE", true}, {"NOW", true}, {"RUNTIME"}, {"LIBRARY"}}, rows, style);
  if (!options.restore && !context.settings.quiet) {
    out += '\n';
    for (const auto& [reach, runtimes] : reaches) {
      out += folded(fmt::format("{}: reaches {}.", runtimes, reach), 0, 2, style.width) + "\n";
    }
    if (!none.empty()) out += folded(none, 0, 2, style.width) + "\n";
    const bool written = std::ranges::any_of(pools, [](const JsonValue& pool) {
      return pool.number_at("after") < pool.number_at("before");
    });
    if (forced && written) {
      out +=
          folded(options.dry_run ? "This would write into the memory of the process, and could not "
                                   "be undone from outside."
                                 : "Written into the memory of the process: it cannot be undone "
                                   "from outside, not even with --restore.",
                 0, 2, style.width) +
          "\n";
    }
    if (options.dry_run) out += "Dry run: nothing was changed.\n";
  }
  write_out(out);
  return taken;
}

int limit(const Options& options, const Context& context) {
  const bool counts = !options.limits.empty() || !options.pools.empty();
  if (!options.pid) {
    return fail(kUsage, "limit: --pid is missing",
                "corewise limit --pid 4711 --blas 4; `corewise top` lists the processes");
  }
  const int pid = parse_pid(*options.pid);
  if (pid == 0) {
    return fail(kUsage, fmt::format("limit: --pid wants the number of a process, not '{}'",
                                    printable(*options.pid, false)));
  }
  if (counts == options.restore) {
    return fail(kUsage, options.restore ? "limit: --restore takes no counts"
                                        : "limit: give --blas N, --openmp N, another count, or "
                                          "--restore");
  }
  if (options.restore && options.dry_run) {
    return fail(kUsage, "limit: --dry-run is about counts");
  }
  const auto asked = read_rules(options);
  if (!asked) return fail(kUsage, "limit: " + asked.error().what);
  bool connected = false;
  auto answer = ask_or_enter(pid, request_for(*asked, options), &connected);
  const bool no_way = !answer && !connected && answer.error().status == CW_NOT_AVAILABLE;
  if (no_way && options.force && counts) {
    answer = limit_by_force(pid, *asked, options.dry_run);
  }
  if (no_way && counts && !options.force) {
    return fail(kNoAgent, "limit: " + printable(answer.error().what, false),
                "start it with `corewise run`, or import corewise in it. Where it runs OpenBLAS, "
                "--force writes smaller counts into its memory, which cannot be undone");
  }
  if (!answer) return fail_to_ask(answer.error(), connected, "limit", pid);
  if (context.settings.json) {
    write_out(answer->text + "\n");
    const auto& outcomes = answer->value.items_at("outcomes");
    const bool none = outcomes.empty() && answer->value.find("forced") != nullptr;
    return !none && std::ranges::all_of(
                        outcomes,
                        [](const JsonValue& pool) { return pool.text_at("reason").empty(); })
               ? kOk
               : kNotTaken;
  }
  return show(*answer, options, context) ? kOk : kNotTaken;
}

Action declare(CLI::App& app) {
  auto options = std::make_shared<Options>();
  app.add_option_function<std::string>(
         "-p,--pid", [options](const std::string& text) { options->pid = text; },
         "The process: one that was started by `corewise run`, or that imported corewise")
      ->type_name("PID");
  for (const char* api : kApiNames) {
    app.add_option_function<std::string>(
           fmt::format("--{}", api),
           [options, api](const std::string& text) { options->limits.emplace_back(api, text); },
           fmt::format("The most threads of each {} pool", api))
        ->type_name("N");
  }
  app.add_option("--pool", options->pools,
                 "The most threads of the pools of that runtime, file-name prefix or library file")
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
        "would do in each thread, so a region with a num_threads clause keeps its size. Pools "
        "without a gate (oneTBB, Arrow) are set. A limit never raises the program's own "
        "number, which applies again after --restore.\n"
        "\n"
        "A process may have no control socket, and no way to get one. corewise leaves it "
        "alone, unless you give --force: then it writes smaller OpenBLAS counts into the "
        "memory of the process. That needs root or the rights of ptrace. You cannot undo it, "
        "not even with --restore.\n"
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
