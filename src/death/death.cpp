#include "death.h"

#include <signal.h>

#include <algorithm>
#include <filesystem>
#include <system_error>
#include <utility>

#include "advice/caller_slots.h"
#include "base/json.h"
#include "base/json_reader.h"
#include "base/text.h"
#include "folder.h"
#include "govern/teams/bends.h"
#include "os/os.h"

namespace corewise::death {
namespace {

constexpr std::size_t kLargest = std::size_t{1} << 20;

std::string file(const std::string& path) { return std::string(file_name(path)); }

// What a notebook's kernel is started as; a child that it forks has the same command line.
constexpr std::string_view kKernel = "ipykernel_launcher";

bool is_of(const Asker& asker, const Death& death) {
  if (!asker.notebook.empty()) return death.notebook == asker.notebook;
  return !asker.folder.empty() && death.folder == asker.folder;
}

std::string signal_name(int signal) {
  constexpr std::pair<int, const char*> kNames[] = {
      {0, "exit"},        {SIGSEGV, "SIGSEGV"}, {SIGBUS, "SIGBUS"},  {SIGILL, "SIGILL"},
      {SIGFPE, "SIGFPE"}, {SIGABRT, "SIGABRT"}, {SIGTERM, "SIGTERM"}};
  for (const auto& [number, name] : kNames) {
    if (number == signal) return name;
  }
  return "signal " + std::to_string(signal);
}

// For copies that ran out, or probably did: one cause, however many there are.
Finding ran_out(const Death& death, const std::vector<const DeadPool*>& pools, bool proven) {
  const int slots = (*std::ranges::min_element(pools, {}, &DeadPool::caller_slots))->caller_slots;
  const std::string room = grouped(slots);
  const DeadPool& first = *pools.front();
  std::string files;
  std::vector<std::string> paths;
  for (const DeadPool* pool : pools) {
    files += (files.empty() ? "" : ", ") + file(pool->path);
    paths.push_back(pool->path);
  }
  const std::string fewer = std::to_string(callers_that_fit(slots, first.workers));
  const std::string what =
      death.threads > slots
          ? grouped(death.threads) + " threads " + (proven ? "" : "probably ") +
                "called OpenBLAS, which has room for " + room
          : "OpenBLAS ran out of slots: it has room for " + room + " calls at once";
  const std::string cure =
      death.kernel ? "Start the notebook with `%load_ext corewise` and `%govern on`: corewise then "
                     "replaces the table. Or use fewer callers: `%threads openmp=" +
                         fewer + "`."
                   : "Start it as `corewise run -- ...`, which replaces the table; in Python "
                     "corewise.govern() does so too. Or use fewer callers: OMP_NUM_THREADS=" +
                         fewer + ".";
  return {"death-openblas-slots",
          Severity::kDanger,
          what,
          "Every thread that is inside OpenBLAS (" + files +
              ") needs a slot of its own, even if BLAS is limited to one thread. " +
              past_the_slots(spares_of(first.version)) + ".",
          cure,
          {},
          std::move(paths)};
}

// Its code was running, or an address in it was on the stack, where it may be left from before.
Finding inside(const Death& death, const DeadPool& pool) {
  const bool running = death.module.empty() || death.module == pool.path;
  return {"death-inside-pool", running ? Severity::kDanger : Severity::kWarning,
          "it died by " + signal_name(death.signal) + " in " +
              (running ? "a thread that was in " + file(pool.path)
                       : file(death.module) + ", perhaps called by " + file(pool.path)) +
              " (" + pool.runtime + ")",
          "No known cause was found: the buffers were not exhausted" +
              std::string(death.governed ? ", and the process was governed." : "."),
          "Run it once as OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1. If it lives, the threads "
          "matter: send `corewise doctor --last --json` with the report of the error."};
}

Finding elsewhere(const Death& death) {
  return {"death-elsewhere", Severity::kWarning,
          "it died by " + signal_name(death.signal) +
              (death.module.empty() ? std::string() : " in " + file(death.module)) +
              ", outside the thread pools",
          "Nothing on the stack of the thread that died belongs to a thread pool.",
          death.program.find(kKernel) != death.program.npos
              ? "Put `import faulthandler; faulthandler.enable()` into the first cell. The console "
                "of the Jupyter server then shows where in the program it dies."
              : "Python's own `python -X faulthandler` prints where in the program it was."};
}

// Where its threads were then says nothing about the cause.
Finding sent(const Death& death) {
  return {"death-sent", Severity::kWarning,
          "it died by " + signal_name(death.signal) + ", which a program sent to it",
          "No code of this process had failed: the signal came by kill(). A watchdog, a job "
          "scheduler or a person sends one to end a program, often because it hangs.",
          "Find out who sent it. If the program hangs, `corewise top` shows what its threads do."};
}

// Callers take the buffers. If the library does not tell, more threads than buffers and a death in
// its code are the evidence.
bool seems_exhausted(const Death& death, const DeadPool& pool) {
  return pool.inside && pool.caller_slots > 0 && death.threads > pool.caller_slots &&
         !death.governed;
}

// LLVM's OpenMP runtime and Intel's are builds of one, and read each other's mark.
bool is_llvm_openmp(const DeadPool& pool) {
  return pool.runtime == "libomp" || pool.runtime == "libiomp";
}

// A second copy that was used as soon as it was loaded is not among the pools known before.
bool is_llvm_openmp(std::string_view path) {
  const std::string_view name = file_name(path);
  return name.starts_with("libomp") || name.starts_with("libiomp");
}

bool said(const Death& death, std::string_view words) {
  return death.last_words.find(words) != death.last_words.npos;
}

// "OMP: Error #15": a copy that is used for the first time finds the mark that another has left for
// this process (kmp_runtime.cpp, __kmp_register_library_startup), and aborts before it has set
// itself up.
std::optional<Finding> two_openmps(const Death& death) {
  if (death.signal != SIGABRT) return std::nullopt;
  const DeadPool* refused = nullptr;
  const DeadPool* first = nullptr;
  for (const DeadPool& pool : death.pools) {
    if (!is_llvm_openmp(pool)) continue;
    if (pool.path == death.module) {
      refused = &pool;
    } else if (first == nullptr || (pool.used == true && first->used != true)) {
      first = &pool;
    }
  }
  const bool told = said(death, "OMP: Error #15");
  const bool here = refused != nullptr ? refused->used != true : is_llvm_openmp(death.module);
  if (first == nullptr || (!here && !told)) return std::nullopt;
  const bool proven = told || (refused != nullptr && refused->used == false && first->used == true);
  const std::string second = is_llvm_openmp(death.module) || here ? death.module : "another copy";
  return Finding{
      "death-two-openmps", Severity::kDanger,
      second + (proven ? " refused to start beside " : " probably refused to start beside ") +
          first->path + " (OMP: Error #15)",
      "Both are builds of one OpenMP runtime, LLVM's libomp or Intel's libiomp5. A copy that is "
      "used for the first time ends the process if another copy is in use in it.",
      "Have one copy: install the packages that bring them from one channel, or start with "
      "MKL_THREADING_LAYER=GNU if MKL brings libiomp5. KMP_DUPLICATE_LIB_OK=TRUE only hides it: "
      "programs were seen to hang, crash and give wrong results."};
}

// Null if none was there.
const DeadPool* numba_layer(const Death& death, std::string_view layer) {
  const auto pool = std::ranges::find_if(death.pools, [&](const DeadPool& each) {
    return each.runtime == "numba" && each.layer == layer;
  });
  return pool != death.pools.end() ? &*pool : nullptr;
}

std::optional<Finding> numba_concurrent(const Death& death) {
  const DeadPool* const pool = numba_layer(death, "workqueue");
  if (pool == nullptr || death.signal != SIGABRT || pool->path != death.module) return std::nullopt;
  return Finding{
      "death-numba-concurrent", Severity::kDanger,
      "Numba ended it: two threads were in parallel functions at once, and its workqueue layer "
      "(" +
          file(pool->path) + ") admits one",
      "Numba takes that layer where it finds neither oneTBB nor OpenMP. It aborts where a second "
      "thread of the program calls a function with parallel=True, or such a function calls "
      "another.",
      "Take a layer that admits several: `pip install tbb` and NUMBA_THREADING_LAYER=tbb, or "
      "NUMBA_THREADING_LAYER=omp. Or hold a lock of your own around the calls."};
}

std::optional<Finding> numba_fork(const Death& death) {
  const DeadPool* const pool = numba_layer(death, "omp");
  if (pool == nullptr || death.signal != SIGTERM) return std::nullopt;
  return Finding{
      "death-numba-fork", Severity::kDanger,
      "Numba ended it (SIGTERM): a forked child called a parallel function, and its parent had "
      "run one before the fork, over GNU OpenMP (" +
          file(pool->path) + ")",
      "libgomp's threads do not survive a fork, so Numba refuses to start them again in the "
      "child, governed or not.",
      "Start workers with the 'spawn' or 'forkserver' method, or use loky; or run with "
      "NUMBA_THREADING_LAYER=tbb or workqueue; or call no parallel function before the fork."};
}

// memory.c, since 0.3.31: after ten refusals it prints "Memory allocation still failed" and calls
// exit(1).
std::optional<Finding> no_memory(const Death& death) {
  if (death.signal != 0) return std::nullopt;
  return Finding{
      "death-openblas-memory",
      Severity::kDanger,
      copy_name(death.module, "OpenBLAS") +
          " ended it: the kernel refused memory for one more call",
      "Every thread that is inside OpenBLAS needs a buffer of its own. OpenBLAS asks the kernel "
      "ten times, then it calls exit(1). A limit on address space (ulimit -v) and strict "
      "overcommit refuse memory.",
      "Raise ulimit -v, or use fewer callers: `corewise run -- ...`, in a notebook `%govern on`.",
      {},
      {death.module}};
}

// Besides what else is known: a team that was cut explains any death in code that divided its work
// by the size it had asked for.
std::optional<Finding> bent_team(const Bent& bent) {
  if (bent.bent == 0 || bent.libraries.empty()) return std::nullopt;
  std::string names;
  std::string reasons;
  bool inside = false;
  for (const DeadBending& library : bent.libraries) {
    names += (names.empty() ? "" : ", ") + file(library.path);
    reasons += (reasons.empty() ? "" : ", ") + library.why;
    inside = inside || library.inside;
  }
  return Finding{
      "death-bent-team", inside ? Severity::kDanger : Severity::kWarning,
      "teams of " + names + " had been cut: they asked for " +
          govern::team_sizes_in_words(bent.from) + " threads and got " +
          govern::team_sizes_in_words(bent.to) + ", in " + std::to_string(bent.bent) + " of " +
          std::to_string(bent.regions) + " regions",
      "They bend by " + reasons +
          ". Code that divides its work by the size that it asked for, and not by the one it got, "
          "leaves work undone or writes past its memory." +
          (inside ? " The thread that died was in such code." : ""),
      "Run it again with COREWISE_EXACT_TEAMS=" + file(bent.libraries.front().path) +
          ", which keeps its teams whole. If it lives then, take the library out of "
          "COREWISE_BEND or corewise.toml; if corewise's own table names it, send `corewise doctor "
          "--last --json`."};
}

void write(Json& json, const Bent& bent) {
  json.open('{').field("regions", bent.regions).field("bent", bent.bent);
  json.array("from", govern::team_sizes(bent.from)).array("to", govern::team_sizes(bent.to));
  json.key("libraries").open('[');
  for (const DeadBending& library : bent.libraries) {
    json.open('{').field("path", library.path).field("why", library.why);
    json.field("inside", library.inside).close('}');
  }
  json.close(']').close('}');
}

void write(Json& json, const Death& death) {
  json.open('{').field("pid", death.pid).field("program", death.program);
  json.field("name", name_of(death)).field("headline", headline(death));
  json.known("notebook", death.notebook).field("kernel", death.kernel).field("own", death.own);
  json.field("folder", death.folder).field("time", death.time);
  json.field("signal", signal_name(death.signal)).field("module", death.module);
  json.field("threads", death.threads).field("governed", death.governed);
  json.field("stderr", death.last_words).key("pools").open('[');
  for (const DeadPool& pool : death.pools) {
    json.open('{').field("runtime", pool.runtime).field("path", pool.path);
    json.field("layer", pool.layer).key("used");
    pool.used ? json.value(*pool.used) : json.null();
    json.field("threads", pool.threads).field("caller_slots", pool.caller_slots);
    json.field("ran_out", pool.ran_out).field("inside", pool.inside).close('}');
  }
  write(json.close(']').key("bent"), death.bent);
  json.close('}');
}

Bent read_bent(const JsonValue& told) {
  Bent bent{told.amount_at("regions"),
            told.amount_at("bent"),
            told.amount_at("from"),
            told.amount_at("to"),
            {}};
  for (const JsonValue& each : told.items_at("libraries")) {
    bent.libraries.push_back({each.text_at("path"), each.text_at("why"), each.truth_at("inside")});
  }
  return bent;
}

}  // namespace

Result<Death> read_death(std::string_view report) {
  auto read = read_json(report);
  if (!read) return read.error();
  const JsonValue& top = *read;
  Death death;
  death.signal = top.count_at("signal");
  death.pid = top.count_at("pid");
  if (top.count_at("schema_version") != 1 || top.find("signal") == nullptr || death.signal < 0 ||
      death.signal > 64 || death.pid < 1) {
    return Error{CW_BAD_ARGUMENT, "it is not a report of a death"};
  }
  death.program = top.text_at("program");
  death.notebook = top.text_at("notebook");
  death.kernel = top.truth_at("kernel") && !death.notebook.empty();
  death.folder = top.text_at("folder");
  death.time = static_cast<std::int64_t>(std::clamp(top.number_at("time"), 0.0, 1e15));
  death.sent = top.truth_at("sent");
  death.module = top.text_at("module");
  death.threads = top.count_at("threads");
  death.governed = top.truth_at("governed");
  death.last_words = top.text_at("stderr");
  for (const JsonValue& each : top.items_at("pools")) {
    const int now = each.count_at("threads");
    const int before = each.count_at("threads_before");
    const JsonValue* const used = each.find("used");
    death.pools.push_back({.runtime = each.text_at("runtime"),
                           .path = each.text_at("path"),
                           .version = each.text_at("version"),
                           .layer = each.text_at("layer"),
                           .threads = now > 0 ? now : before,
                           .workers = std::max({0, now - 1, before - 1}),
                           .caller_slots = each.count_at("caller_slots"),
                           .ran_out = each.truth_at("ran_out"),
                           .used = used != nullptr ? std::optional(used->truth) : std::nullopt});
  }
  for (const JsonValue& each : top.items_at("inside")) {
    const auto id = static_cast<std::size_t>(each.whole().value_or(-1));
    if (id < death.pools.size()) death.pools[id].inside = true;
  }
  if (const JsonValue* const bent = top.find("bent")) death.bent = read_bent(*bent);
  return death;
}

std::vector<Finding> explain(const Death& death) {
  std::vector<Finding> findings;
  for (const auto known : {two_openmps, numba_concurrent, numba_fork, no_memory}) {
    if (auto finding = known(death)) findings.push_back(*std::move(finding));
  }
  for (const bool proven : {true, false}) {
    std::vector<const DeadPool*> exhausted;
    for (const DeadPool& pool : death.pools) {
      if (proven ? pool.ran_out && death.signal != 0
                 : findings.empty() && !death.sent && seems_exhausted(death, pool)) {
        exhausted.push_back(&pool);
      }
    }
    if (!exhausted.empty()) findings.push_back(ran_out(death, exhausted, proven));
  }
  for (const DeadPool& pool : death.pools) {
    if (findings.empty() && !death.sent && pool.inside) findings.push_back(inside(death, pool));
  }
  if (findings.empty()) findings.push_back(death.sent ? sent(death) : elsewhere(death));
  if (auto finding = bent_team(death.bent)) findings.push_back(*std::move(finding));
  return findings;
}

std::string name_of(const Death& death) {
  if (death.kernel) return file(death.notebook);
  std::string_view rest = death.program;
  const std::string_view program = file_name(cut(rest, ' '));
  if (program.starts_with("python")) {
    const std::string_view script = cut(rest, ' ');
    if (script == "-m") {
      const std::string_view module = cut(rest, ' ');
      return module == kKernel ? "a notebook's kernel" : std::string(module);
    }
    if (!script.empty() && !script.starts_with('-')) return std::string(file_name(script));
  }
  return program.empty() ? "it" : std::string(program);
}

std::string headline(const Death& death) {
  constexpr std::string_view kIt = "it died";
  std::string subject = name_of(death);
  if (!death.notebook.empty() && !death.kernel) {
    const std::string notebook = file(death.notebook);
    subject = death.program.find(kKernel) != death.program.npos
                  ? "a process that " + notebook + " forked"
                  : "a process that " + notebook + " started (" + subject + ")";
  }
  std::string what = explain(death).front().what;
  return subject + (what.starts_with(kIt) ? what.substr(2) : " died: " + what);
}

const Death* death_for(const Asker& asker, const std::vector<Death>& deaths) {
  constexpr std::int64_t kHour = 3600;
  if (deaths.empty()) return nullptr;
  const Death& newest = deaths.front();
  const auto found = std::ranges::find_if(deaths, [&](const Death& death) {
    const bool counts = !asker.notebook.empty() || newest.time - death.time < kHour;
    return counts && is_of(asker, death);
  });
  return found != deaths.end() ? &*found : &newest;
}

Result<std::optional<Death>> last_death() {
  std::vector<Death> deaths;
  std::optional<Error> damaged;  // set if the newest cannot be read
  for (const std::string& path : reports_by_age()) {
    const auto text = os::read_file(path, kLargest);
    auto death = text ? read_death(*text) : Result<Death>(text.error());
    if (death) {
      deaths.push_back(*std::move(death));
    } else if (deaths.empty() && !damaged) {
      damaged = Error{death.error().status, path + ": " + death.error().what};
    }
  }
  std::error_code gone;
  const Asker asker{own_notebook(), std::filesystem::current_path(gone).string()};
  const Death* const found = death_for(asker, deaths);
  if (damaged && (found == nullptr || !is_of(asker, *found))) return *damaged;
  if (found == nullptr) return std::optional<Death>();
  Death last = *found;
  last.own = is_of(asker, last);
  return std::optional<Death>(std::move(last));
}

std::string death_json(const std::optional<Death>& death) {
  Json json;
  json.open('{').field("schema_version", 1).key("death");
  death ? write(json, *death) : static_cast<void>(json.null());
  write_findings(json.key("findings"), death ? explain(*death) : std::vector<Finding>());
  json.close('}');
  return json.text();
}

}  // namespace corewise::death
