#include "doctor.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <initializer_list>
#include <iterator>
#include <optional>
#include <string_view>
#include <utility>

#include "base/json_reader.h"
#include "base/text.h"
#include "caller_slots.h"
#include "kernels.h"

namespace corewise {
namespace {

// OPENBLAS_THREAD_TIMEOUT where an idle worker sleeps soon enough not to be felt: 2^16 cycles.
constexpr int kShortTimeout = 20;

using Findings = std::vector<Finding>;

std::string n(int number) { return std::to_string(number); }

std::string plural(int count, const char* noun) {
  return grouped(count) + " " + noun + (count == 1 ? "" : "s");
}

std::string cpus(double count) {
  std::array<char, 32> text;
  const auto rounded = std::round(count * 100) / 100;
  const auto [end, error] = std::to_chars(text.data(), text.data() + text.size(), rounded);
  return error == std::errc{} ? std::string(text.data(), end) : "?";
}

std::string in_cpus(double count) { return cpus(count) + (count == 1 ? " CPU" : " CPUs"); }

int whole(double count) { return std::max(1, static_cast<int>(std::floor(count + 1e-9))); }

// The file name without its folder: enough to tell copies apart in a sentence.
std::string file(const PoolFacts& pool) { return std::string(file_name(pool.path)); }

const std::string* variable(const ProcessFacts& facts, const char* name) {
  const auto found = facts.environment.find(name);
  return found == facts.environment.end() || found->second.empty() ? nullptr : &found->second;
}

std::optional<int> number(const ProcessFacts& facts, const char* name) {
  const std::string* text = variable(facts, name);
  return text == nullptr ? std::nullopt : first_count(*text);
}

int openmp_threads(const ProcessFacts& facts) {
  int most = 0;
  for (const PoolFacts& pool : facts.pools) {
    if (pool.api == CW_API_OPENMP) most = std::max(most, pool.threads);
  }
  return most;
}

using Pools = std::vector<const PoolFacts*>;

template <class Name>
std::string names(const Pools& pools, Name name_of) {
  std::vector<std::string> all;
  all.reserve(pools.size());
  for (const PoolFacts* pool : pools) all.push_back(name_of(*pool));
  return listed(all);
}

std::vector<std::string> paths(const Pools& pools) {
  std::vector<std::string> all;
  all.reserve(pools.size());
  for (const PoolFacts* pool : pools) all.push_back(pool->path);
  return all;
}

std::string copy(const PoolFacts& pool) { return copy_name(pool.path); }

std::string name(const PoolFacts& pool) { return copy_name(pool.path, "OpenBLAS"); }

std::string each_runs(const Pools& pools) {
  return names(pools, name) + (pools.size() == 1 ? " runs " : " run ") +
         plural(pools.front()->threads, "thread") + (pools.size() == 1 ? "" : " each");
}

// What is read from outside is then what the last call was granted, not what the program set.
bool is_grant(const ProcessFacts& facts, const PoolFacts& pool) {
  return facts.from_outside && pool.governed;
}

bool has_runtime(const ProcessFacts& facts, std::string_view name) {
  return std::any_of(facts.pools.begin(), facts.pools.end(),
                     [&](const PoolFacts& pool) { return pool.runtime == name; });
}

// Copies that have no room for so many callers; the one with the least room first.
Pools too_small_for(int callers, const ProcessFacts& facts) {
  Pools small;
  const auto room = [](const PoolFacts* pool) {
    return callers_that_fit(pool->caller_slots, std::max(0, pool->threads - 1));
  };
  for (const PoolFacts& pool : facts.pools) {
    if (pool.caller_slots > 0 && !pool.governed && callers > room(&pool)) small.push_back(&pool);
  }
  std::ranges::sort(small, {}, [&](const PoolFacts* pool) { return std::pair(room(pool), pool); });
  return small;
}

void slots(const ProcessFacts& facts, Findings& out) {
  const int callers = openmp_threads(facts);
  const Pools small = too_small_for(callers, facts);
  if (small.empty()) return;
  const PoolFacts& least = *small.front();
  const int workers = std::max(0, least.threads - 1);
  const int room = callers_that_fit(least.caller_slots, workers);
  const std::string fewer = n(std::min(room, whole(facts.budget)));
  Finding finding{"openblas-slots",
                  Severity::kDanger,
                  plural(callers, "thread") + " may call OpenBLAS at once, which has room for " +
                      grouped(room) + " (" + names(small, copy) + ")",
                  "Each call takes a slot while it runs, each BLAS worker one for good: " +
                      plural(callers, "call") + " + " + plural(workers, "worker") + " = " +
                      grouped(std::int64_t{callers} + workers) + " slots, and there are " +
                      grouped(least.caller_slots) + ". " +
                      past_the_slots(spares_of(least.version)) +
                      (callers > least.caller_slots
                           ? ". Fewer BLAS threads do not help: each of the " +
                                 plural(callers, "thread") + " makes a call of its own"
                           : ". Limiting BLAS in the program does not help: its workers keep "
                             "their slots"),
                  {},
                  {},
                  paths(small)};
  govern_first(
      finding, "which gives OpenBLAS room for all",
      {"fewer callers: OMP_NUM_THREADS=" + fewer, "fewer callers: %threads openmp=" + fewer,
       "fewer callers: corewise.limits(openmp=" + fewer + ")"});
  out.push_back(std::move(finding));
}

void spinning(const ProcessFacts& facts, Findings& out) {
  const auto timeout = number(facts, "OPENBLAS_THREAD_TIMEOUT");
  if (timeout && *timeout <= kShortTimeout) return;
  Pools pools;
  for (const PoolFacts& pool : facts.pools) {
    if (pool.runtime != "openblas" || pool.layer != "pthreads" || pool.threads < 2) continue;
    if (pool.governed) continue;  // its idle workers sleep soon
    pools.push_back(&pool);
  }
  if (pools.size() < 2) return;
  Finding finding{"openblas-spinning",
                  Severity::kWarning,
                  n(static_cast<int>(pools.size())) +
                      " copies of OpenBLAS have threads of their own: " + names(pools, copy),
                  "An idle worker keeps a CPU busy for up to a tenth of a second before it sleeps. "
                  "So a program that alternates between the copies (LogisticRegression, KMeans) "
                  "runs up to 13 times slower than it should",
                  {},
                  {},
                  paths(pools)};
  govern_first(finding, "under which idle workers sleep soon",
               {"OPENBLAS_THREAD_TIMEOUT=16", "%threads blas=1",
                "corewise.limits(blas=1) around such code"});
  out.push_back(std::move(finding));
}

// A variable that asks for threads, and the pools that listen to it.
struct Asking {
  const char* variable;
  bool (*is_heard_by)(const PoolFacts& pool);
};

constexpr std::array<Asking, 5> kAsking = {{
    {"OMP_NUM_THREADS",
     [](const PoolFacts& pool) { return pool.api == CW_API_OPENMP || pool.layer == "openmp"; }},
    {"OPENBLAS_NUM_THREADS", [](const PoolFacts& pool) { return pool.runtime == "openblas"; }},
    {"MKL_NUM_THREADS", [](const PoolFacts& pool) { return pool.runtime == "mkl"; }},
    {"BLIS_NUM_THREADS", [](const PoolFacts& pool) { return pool.runtime == "blis"; }},
    {"NUMBA_NUM_THREADS", [](const PoolFacts& pool) { return pool.api == CW_API_NUMBA; }},
}};

Pools above_budget_of(const ProcessFacts& facts) {
  const int most = std::max(1, static_cast<int>(std::ceil(facts.budget - 1e-9)));
  Pools above;
  for (const PoolFacts& pool : facts.pools) {
    if (pool.threads > most && !pool.governed) above.push_back(&pool);
  }
  return above;
}

bool explains(const Asking& asking, const ProcessFacts& facts, const Pools& pools) {
  const auto asked = number(facts, asking.variable);
  return asked && std::ranges::any_of(pools, [&](const PoolFacts* pool) {
           return asking.is_heard_by(*pool) && pool->threads == *asked;
         });
}

// "openmp=2 blas=2": `count` for the API of each of the pools, told by `one`.
template <class One>
std::string counts_for(const Pools& pools, const char* between, One one) {
  std::string text;
  for (int api = 0; api < static_cast<int>(kApiNames.size()); ++api) {
    const bool there = std::ranges::any_of(
        pools, [&](const PoolFacts* pool) { return static_cast<int>(pool->api) == api; });
    const std::string word = there ? one(static_cast<Api>(api)) : std::string();
    if (!word.empty()) text += (text.empty() ? "" : between) + word;
  }
  return text;
}

Cures fixed_counts(const Pools& pools, const std::string& count) {
  const auto with = [&](Api api) {
    return std::string(kApiNames[static_cast<std::size_t>(api)]) + "=" + count;
  };
  // oneTBB and Arrow have no variable of their own that `run` could set.
  const std::string options = counts_for(pools, " ", [&](Api api) {
    const bool runs = api != CW_API_TBB && api != CW_API_ARROW;
    return runs ? "--" + std::string(kApiNames[static_cast<std::size_t>(api)]) + " " + count
                : std::string();
  });
  return {options.empty() ? std::string() : "corewise run --no-govern " + options + " -- ...",
          "%threads " + counts_for(pools, " ", with),
          "corewise.limits(" + counts_for(pools, ", ", with) + ")"};
}

void above_budget(const ProcessFacts& facts, Findings& out) {
  const Pools above = above_budget_of(facts);
  if (above.empty()) return;
  const auto with_count = [](const PoolFacts& pool) {
    return name(pool) + " " + grouped(pool.threads);
  };
  std::vector<std::string> because;
  for (const Asking& asking : kAsking) {
    if (!explains(asking, facts, above)) continue;
    because.push_back(std::string(asking.variable) + "=" + *variable(facts, asking.variable));
  }
  Finding finding{
      "above-budget",
      Severity::kWarning,
      above.size() == 1
          ? name(*above.front()) + " would run " + plural(above.front()->threads, "thread") +
                " on " + in_cpus(facts.budget)
          : n(static_cast<int>(above.size())) + " pools would run more threads than the " +
                in_cpus(facts.budget) + ": " + names(above, with_count),
      "You may use " + in_cpus(facts.budget) +
          (facts.budget_reason.empty() ? "" : " (" + facts.budget_reason + ")") +
          (because.empty() ? "" : ", and the environment has " + listed(because)) +
          ". Extra threads only take turns on the same CPUs; under a CPU quota the kernel then "
          "stops all of them for a while",
      {},
      {},
      paths(above)};
  govern_first(finding, "which keeps all pools together within them",
               fixed_counts(above, n(whole(facts.budget))));
  out.push_back(std::move(finding));
}

void two_openmps(const ProcessFacts& facts, Findings& out) {
  if (!has_runtime(facts, "libomp") || !has_runtime(facts, "libiomp")) return;
  out.push_back({"libomp-and-libiomp", Severity::kDanger,
                 "LLVM's libomp and Intel's libiomp5 are both loaded",
                 "they are builds of one runtime and do not tolerate each other: programs were "
                 "seen to hang or crash",
                 "install both libraries from one channel, so that they share one OpenMP; with "
                 "MKL, MKL_THREADING_LAYER=GNU avoids libiomp5"});
}

// MKL's layer shows inside the process alone, once MKL was used: before, or from outside, an Intel
// runtime beside MKL's own files is taken for it.
void mkl_beside_libgomp(const ProcessFacts& facts, Findings& out) {
  const auto libgomp = std::ranges::find(facts.pools, "libgomp", &PoolFacts::runtime);
  if (libgomp == facts.pools.end()) return;
  for (const PoolFacts& pool : facts.pools) {
    if (pool.runtime != "mkl") continue;
    const bool likely =
        pool.layer.empty() && file(pool).starts_with("libmkl") && has_runtime(facts, "libiomp");
    if (pool.layer != "intel" && !likely) continue;
    out.push_back(
        {"mkl-intel-beside-libgomp", Severity::kWarning,
         "MKL (" + file(pool) + ") runs on Intel's OpenMP, its INTEL layer, and GNU's " +
             file(*libgomp) + " is loaded too",
         "each of the two has threads of its own and knows nothing of the other's regions: "
         "an MKL call inside a region of libgomp starts a team for each of its threads, "
         "and idle threads of one spin while the other works. mkl-service switches MKL "
         "to its GNU layer in such a process, as MKL does not work right in it",
         "start with MKL_THREADING_LAYER=GNU, so that both share libgomp, or import what brings "
         "libgomp first: libmkl_rt then takes it by itself. Where a library is linked to "
         "libmkl_intel_thread, neither helps: install all from one channel"});
    return;
  }
}

// Numba refuses it (omppool.cpp), also where a governed child could have new teams.
void numba_after_fork(const ProcessFacts& facts, Findings& out) {
  if (!facts.forked_after_openmp || !has_runtime(facts, "libgomp")) return;
  for (const PoolFacts& pool : facts.pools) {
    if (pool.runtime != "numba" || pool.layer != "omp") continue;
    out.push_back(
        {"numba-after-fork", Severity::kDanger,
         "Numba will end this process at its next parallel function (" + file(pool) + ")",
         "it was forked from one that had used OpenMP, and over GNU OpenMP Numba ends "
         "such a child by SIGTERM, governed or not",
         "start workers with the 'spawn' or 'forkserver' method, or use loky; or run with "
         "NUMBA_THREADING_LAYER=tbb or workqueue"});
  }
}

bool same_word(std::string_view a, std::string_view b) {
  return std::ranges::equal(a, b, [](char x, char y) {
    return (x >= 'A' && x <= 'Z' ? x + 32 : x) == (y >= 'A' && y <= 'Z' ? y + 32 : y);
  });
}

// A number with a unit, where it is none nothing; `most` for "infinite" and "infinity".
std::optional<double> amount(std::string_view text,
                             std::initializer_list<std::pair<std::string_view, double>> units) {
  text = trim(text);
  if (same_word(text, "infinite") || same_word(text, "infinity")) return HUGE_VAL;
  const std::size_t digits = std::min(text.find_first_not_of("0123456789"), text.size());
  const auto count = parse_integer(text.substr(0, digits));
  const std::string_view unit = trim(text.substr(digits));
  if (!count) return std::nullopt;
  if (unit.empty()) return static_cast<double>(*count);
  for (const auto& [name, factor] : units) {
    if (same_word(unit, name)) return static_cast<double>(*count) * factor;
  }
  return std::nullopt;
}

// The variables that make idle OpenMP threads spin for longer than anybody waits: as NAME=value.
// libgomp's own number is 300,000 turns, some milliseconds; LLVM's 200 ms.
std::vector<std::string> variables_that_spin(const ProcessFacts& facts) {
  constexpr double kManyTurns = 1e8;
  constexpr double kLongMs = 1000;
  std::vector<std::string> found;
  const auto check = [&](const char* name, const auto& spins) {
    const std::string* const text = variable(facts, name);
    if (text != nullptr && spins(*text)) found.push_back(std::string(name) + "=" + *text);
  };
  check("OMP_WAIT_POLICY", [](std::string_view text) { return same_word(trim(text), "active"); });
  check("GOMP_SPINCOUNT", [](std::string_view text) {
    return amount(text, {{"k", 1e3}, {"m", 1e6}, {"g", 1e9}, {"t", 1e12}}).value_or(0) >=
           kManyTurns;
  });
  check("KMP_BLOCKTIME", [](std::string_view text) {
    return amount(text, {{"us", 1e-3}, {"ms", 1}, {"s", 1e3}}).value_or(0) >= kLongMs;
  });
  check("KMP_LIBRARY", [](std::string_view text) { return same_word(trim(text), "turnaround"); });
  return found;
}

void wait_policy(const ProcessFacts& facts, Findings& out) {
  // With no pools yet, an OpenMP runtime may be what is loaded next.
  const bool openmp =
      std::ranges::find(facts.pools, CW_API_OPENMP, &PoolFacts::api) != facts.pools.end();
  if (!facts.pools.empty() && !openmp) return;
  const std::vector<std::string> names = variables_that_spin(facts);
  if (names.empty()) return;
  out.push_back(
      {"wait-policy-active", Severity::kWarning,
       listed(names) + (names.size() == 1 ? " keeps" : " keep") + " idle OpenMP threads spinning",
       "a worker that waits for the next region busy-waits for seconds or for ever: it "
       "takes a CPU from other pools and processes, and spins under 'corewise run' too, "
       "which leaves alone what you set yourself",
       "unset it unless one OpenMP program has these CPUs to itself; OMP_WAIT_POLICY=passive "
       "lets idle threads sleep at once"});
}

void workers_spin(const ProcessFacts& facts, Findings& out) {
  Pools pools;
  for (const PoolFacts& pool : facts.pools) {
    if (pool.spinning > 0) pools.push_back(&pool);
  }
  if (pools.empty()) return;
  const auto idle = [](const PoolFacts& pool) {
    return plural(pool.spinning, "idle worker") + " of " + name(pool);
  };
  const bool one = pools.size() == 1 && pools.front()->spinning == 1;
  const std::vector<std::string> variables = variables_that_spin(facts);
  out.push_back({"workers-spin",
                 Severity::kWarning,
                 names(pools, idle) + (one ? " spins" : " spin"),
                 "nobody was in a parallel region or BLAS call, seen twice, and they ran all the "
                 "same: each keeps a CPU busy" +
                     (variables.empty() ? std::string() : " (" + listed(variables) + ")"),
                 variables.empty()
                     ? "OMP_WAIT_POLICY=passive or OPENBLAS_THREAD_TIMEOUT=16 before the "
                       "start lets them sleep"
                     : "unset " + listed(variables) + ", or set OMP_WAIT_POLICY=passive",
                 {},
                 paths(pools)});
}

void dynamic_teams(const ProcessFacts& facts, Findings& out) {
  const std::string* const asked = variable(facts, "OMP_DYNAMIC");
  const bool by_user = asked != nullptr && (same_word(trim(*asked), "true") || *asked == "1");
  for (const PoolFacts& pool : facts.pools) {
    if (!pool.dynamic) continue;
    std::vector<std::string> callers;
    bool opencv = false;
    for (const std::string& path : facts.sets_dynamic) {
      callers.emplace_back(file_name(path));
      opencv = opencv || path.find("opencv") != path.npos || path.find("cv2") != path.npos;
    }
    const std::string by = by_user           ? "OMP_DYNAMIC=" + *asked + " says so"
                           : callers.empty() ? "A library or the program called omp_set_dynamic"
                                             : "omp_set_dynamic is called by " + listed(callers);
    out.push_back(
        {"openmp-dynamic", by_user ? Severity::kNote : Severity::kWarning,
         file(pool) + " may make teams smaller than the program asks for: its dynamic mode is on",
         by + ". " +
             (pool.runtime == "libgomp"
                  ? "libgomp takes the machine's load of the last 15 minutes off each team, even "
                    "with a num_threads clause: a program that starts after a busy quarter of an "
                    "hour runs on one thread"
                  : "the runtime sizes each team by the machine's load, even with a num_threads "
                    "clause") +
             (opencv || callers.empty()
                  ? std::string(". OpenCV does it as it is loaded, since 3.4.4, where it was built "
                                "with OpenMP")
                  : std::string()),
         by_user ? "unset OMP_DYNAMIC if your teams are to have the size you ask for"
                 : "call omp_set_dynamic(0) after the imports, in each thread that starts regions; "
                   "for OpenCV, start with OPENCV_FOR_OPENMP_DYNAMIC_DISABLE=1"});
  }
}

std::string for_how_long(const Holder& holder) {
  if (!holder.idle_s || *holder.idle_s < 1) return {};
  const double s = *holder.idle_s;
  if (s < 120) return " for " + n(static_cast<int>(s)) + " s";
  if (s < 7200) return " for " + n(static_cast<int>(s / 60)) + " min";
  return " for " + n(static_cast<int>(s / 3600)) + " h";
}

std::string named(const Holder& holder) {
  return "process " + n(holder.pid) +
         (holder.program.empty() ? std::string() : " (" + holder.program + ")");
}

// Who holds what of a ledger that has nothing left, and what of it nobody uses.
void ledger_holders(const ProcessFacts& facts, Findings& out) {
  for (const HeldLedger& ledger : facts.ledgers) {
    int sum = 0;
    std::vector<std::string> all;
    for (const Holder& holder : ledger.holders) {
      sum += holder.tokens;
      all.push_back(named(holder) + " " + n(holder.tokens));
      const std::string held = " holds " + n(holder.tokens) + " of the " +
                               plural(ledger.budget, "thread") + " of the ledger";
      const bool frozen = holder.state == HolderState::kFrozen;
      if (frozen || holder.state == HolderState::kStopped) {
        out.push_back(
            {"ledger-stopped", Severity::kNote,
             named(holder) + held + ", and has been " + (frozen ? "frozen" : "stopped") +
                 for_how_long(holder),
             std::string(frozen ? "its cgroup was frozen (docker pause, systemctl freeze)"
                                : "Ctrl-Z or a debugger stopped it") +
                 " amid a region. The next region of another process that comes out short "
                 "takes the threads back",
             frozen ? "nothing; or thaw it: docker unpause, systemctl thaw, or 0 into its "
                      "cgroup.freeze"
                    : "nothing; or kill -CONT " + n(holder.pid) + " to let it go on"});
      } else if (holder.state == HolderState::kGone) {
        out.push_back(
            {"ledger-ended", Severity::kNote, named(holder) + held + ", and has ended",
             "it was killed amid a region. The next region that comes out short takes the "
             "threads back",
             "nothing; or remove " + ledger.path + " while no process uses it"});
      }
    }
    if (sum < ledger.budget || all.empty()) continue;
    out.push_back(
        {"ledger-full", Severity::kNote,
         "all " + plural(ledger.budget, "thread") + " of the ledger are held: " + listed(all),
         "a region or BLAS call gets what is free as it starts, at least one thread",
         "nothing if they are to share. To part them: corewise limit --pid, or "
         "corewise run --group NAME with a budget of its own"});
  }
}

// A governed child has teams of new threads (govern/gates/dead_workers.h).
void fork_after_openmp(const ProcessFacts& facts, Findings& out) {
  const bool governed = std::ranges::all_of(facts.pools, [](const PoolFacts& pool) {
    return pool.runtime != "libgomp" || pool.governed;
  });
  if (!facts.forked_after_openmp || governed) return;
  out.push_back({"fork-after-openmp", Severity::kDanger,
                 "this process was forked from one that had used OpenMP",
                 "libgomp's threads do not survive a fork, and its first parallel region in the "
                 "child may wait for them for ever",
                 "run the program under 'corewise run', where children have new threads; or start "
                 "workers with the 'spawn' or 'forkserver' method, or use loky"});
}

void core_type(const ProcessFacts& facts, Findings& out) {
  const std::string* forced = variable(facts, "OPENBLAS_CORETYPE");
  // With no pools yet, OpenBLAS may be what is loaded next.
  if (forced == nullptr || (!facts.pools.empty() && !has_runtime(facts, "openblas"))) return;
  const int best = kernel_level(facts.best_architecture);
  const int level = kernel_level(*forced);
  if (best != 0 && level == best) return;
  std::string why = "kernels for an older CPU can be half as fast, and give other last digits";
  if (best != 0 && level == 0) {
    why = "OpenBLAS knows no kernels of that name";
  } else if (best != 0) {
    why = "this CPU can run " + facts.best_architecture +
          (level < best ? "; kernels for an older one can be half as fast, and give other last "
                          "digits"
                        : "; instructions that it lacks end the program");
  }
  out.push_back({"openblas-coretype", Severity::kWarning,
                 "OPENBLAS_CORETYPE=" + *forced + " chooses OpenBLAS's kernels by hand",
                 std::move(why), "unset OPENBLAS_CORETYPE unless you mean it"});
}

void variables_above_budget(const ProcessFacts& facts, Findings& out) {
  const Pools above = above_budget_of(facts);
  const std::string most = n(whole(facts.budget));
  std::vector<std::string> too_many;
  std::vector<std::string> instead;
  for (const Asking& asking : kAsking) {
    const std::string name = asking.variable;
    const std::string* const text = variable(facts, asking.variable);
    if (text == nullptr) continue;
    const auto asked = number(facts, asking.variable);
    if (!asked || *asked < 1) {
      out.push_back({"variable-not-a-count", Severity::kWarning,
                     name + "=" + *text + " is not a thread count",
                     "the libraries ignore it, each in its own way",
                     "set " + name + " to a whole number from 1, or unset it"});
    } else if (*asked > std::ceil(facts.budget - 1e-9) && !explains(asking, facts, above)) {
      too_many.push_back(name + "=" + *text);
      instead.push_back(name + "=" + most);
    }
  }
  if (too_many.empty()) return;
  out.push_back({"variable-above-budget", Severity::kWarning,
                 listed(too_many) + (too_many.size() == 1 ? " asks" : " ask") +
                     " for more threads than the " + in_cpus(facts.budget) + " you may use",
                 "extra threads only take turns on the same CPUs", listed(instead)});
}

void variable_without_effect(const ProcessFacts& facts, Findings& out) {
  const auto asked = number(facts, "OPENBLAS_NUM_THREADS");
  if (!asked || *asked < 1 || facts.corewise_limits_open) return;
  std::map<std::pair<bool, int>, Pools> alike;  // by whether OpenMP rules, and the count
  for (const PoolFacts& pool : facts.pools) {
    if (pool.runtime != "openblas" || pool.threads == 0 || pool.threads == *asked) continue;
    if (is_grant(facts, pool)) continue;
    alike[{pool.layer == "openmp", pool.threads}].push_back(&pool);
  }
  for (const auto& [kind, pools] : alike) {
    const bool openmp = kind.first;
    Finding finding{
        "variable-without-effect",
        Severity::kNote,
        "OPENBLAS_NUM_THREADS=" + n(*asked) + ", but " + each_runs(pools),
        openmp ? "this build takes its threads from OpenMP, so OMP_NUM_THREADS rules"
               : "the variable is read once, when the library loads, and capped at the "
                 "CPUs of the process; a setter may have changed the count since",
        openmp ? "set OMP_NUM_THREADS instead"
               : "set it before Python starts, or use corewise.limits(blas=" + n(*asked) + ")",
        {},
        paths(pools)};
    if (!openmp) finding.cures.notebook = "%threads blas=" + n(*asked);
    out.push_back(std::move(finding));
  }
}

void blas_alone(const ProcessFacts& facts, Findings& out) {
  const bool limited =
      std::any_of(facts.pools.begin(), facts.pools.end(),
                  [](const PoolFacts& pool) { return pool.api == CW_API_OPENMP && pool.governed; });
  const int callers = limited ? 0 : openmp_threads(facts);
  const bool blas_low =
      std::any_of(facts.pools.begin(), facts.pools.end(), [&](const PoolFacts& pool) {
        return pool.api == CW_API_BLAS && pool.threads > 0 && pool.threads < whole(facts.budget);
      });
  if (!blas_low || callers <= whole(facts.budget)) return;
  out.push_back(
      {"blas-limited-alone",
       Severity::kNote,
       "BLAS is limited, OpenMP is not (" + plural(callers, "thread") + ")",
       "regions of OpenMP threads that each call BLAS run as many threads as OpenMP has, "
       "whatever BLAS's own limit",
       "limit both: corewise.limits(openmp=" + n(whole(facts.budget)) + ", blas=1)",
       {.shell = "limit both: corewise run --openmp " + n(whole(facts.budget)) + " --blas 1 -- ...",
        .notebook = "limit both: %threads openmp=" + n(whole(facts.budget)) + " blas=1",
        .python = {}}});
}

void mkl_dynamic(const ProcessFacts& facts, Findings& out) {
  for (const PoolFacts& pool : facts.pools) {
    if (!pool.mkl_dynamic) continue;
    const auto asked = number(facts, "MKL_NUM_THREADS");
    if (!asked || pool.threads == 0 || pool.threads >= *asked) continue;
    if (facts.corewise_limits_open) continue;
    out.push_back({"mkl-dynamic", Severity::kNote,
                   "MKL_NUM_THREADS=" + n(*asked) + ", but MKL will use " + n(pool.threads),
                   "MKL_DYNAMIC is on: it lowers the count to the physical cores without a word",
                   "set MKL_DYNAMIC=FALSE if you mean the number"});
  }
}

// A pool that runs one thread with nobody saying so was most likely left behind: two overlapping
// threadpool_limits(1) of threadpoolctl leave OpenBLAS at 1 for good.
void leaked(const ProcessFacts& facts, Findings& out) {
  if (facts.corewise_limits_open || whole(facts.budget) < 2) return;
  for (const char* name : {"OPENBLAS_NUM_THREADS", "GOTO_NUM_THREADS", "OMP_NUM_THREADS"}) {
    if (variable(facts, name) != nullptr) return;
  }
  Pools pools;
  for (const PoolFacts& pool : facts.pools) {
    if (pool.runtime != "openblas" || pool.layer != "pthreads" || pool.threads != 1) continue;
    if (!is_grant(facts, pool)) pools.push_back(&pool);
  }
  if (pools.empty()) return;
  const std::string all = n(whole(facts.budget));
  out.push_back(
      {"limit-leaked",
       facts.from_outside ? Severity::kNote : Severity::kWarning,
       each_runs(pools) + ", and neither a variable nor a limit of corewise says so",
       std::string("another library set it and did not set it back; overlapping "
                   "threadpoolctl limits from two threads do that") +
           (facts.from_outside ? ". A limit that is open just now looks the same from outside"
                               : ""),
       "corewise.limits(blas=" + all +
           ") sets it right; corewise.install_as_threadpoolctl() stops the leak",
       {.shell = {},
        .notebook = "%threads blas=" + all +
                    " sets it right; corewise.install_as_threadpoolctl() stops the leak",
        .python = {}},
       paths(pools)});
}

void write(Json& json, const Cures& cures) {
  const auto in = [&](const char* place, const std::string& text) {
    if (!text.empty()) json.field(place, text);
  };
  json.open('{');
  in("shell", cures.shell);
  in("notebook", cures.notebook);
  in("python", cures.python);
  json.close('}');
}

constexpr std::array<void (*)(const ProcessFacts&, Findings&), 17> kRules = {
    slots,
    two_openmps,
    mkl_beside_libgomp,
    fork_after_openmp,
    numba_after_fork,
    dynamic_teams,
    wait_policy,
    workers_spin,
    ledger_holders,
    spinning,
    above_budget,
    core_type,
    leaked,
    variables_above_budget,
    variable_without_effect,
    blas_alone,
    mkl_dynamic,
};

}  // namespace

std::vector<Finding> examine(const ProcessFacts& facts) {
  Findings found;
  for (const auto rule : kRules) rule(facts, found);
  return by_severity(found);
}

std::vector<Finding> by_severity(const std::vector<Finding>& findings) {
  Findings sorted;
  for (const Severity severity : {Severity::kDanger, Severity::kWarning, Severity::kNote}) {
    std::copy_if(findings.begin(), findings.end(), std::back_inserter(sorted),
                 [&](const Finding& finding) { return finding.severity == severity; });
  }
  return sorted;
}

void govern_first(Finding& finding, const std::string& does, const Cures& others) {
  const auto or_else = [](std::string text, const std::string& other) {
    return other.empty() ? text : std::move(text) + "; or " + other;
  };
  finding.cures = {or_else("start it as corewise run -- ..., " + does, others.shell),
                   or_else("%govern on, " + does, others.notebook),
                   or_else("corewise.govern(), " + does, others.python)};
  finding.remedy =
      or_else("corewise run -- ..., in a notebook %govern on, in Python corewise.govern(), " + does,
              others.python);
}

std::string copy_name(std::string_view path, const char* noun) {
  constexpr std::string_view kFolder = ".libs";  // where auditwheel puts a wheel's libraries
  const std::string_view name = file_name(path);
  const std::string_view folder =
      file_name(path.substr(0, path.size() - std::min(path.size(), name.size() + 1)));
  if (name.find("openblas") == name.npos || !folder.ends_with(kFolder)) return std::string(name);
  return std::string(folder.substr(0, folder.size() - kFolder.size())) + "'s " + noun;
}

const char* severity_name(Severity severity) {
  switch (severity) {
    case Severity::kNote:
      return "note";
    case Severity::kWarning:
      return "warning";
    case Severity::kDanger:
      return "danger";
  }
  return "note";
}

Severity severity_named(std::string_view name) {
  return name == "danger"    ? Severity::kDanger
         : name == "warning" ? Severity::kWarning
                             : Severity::kNote;
}

void write_findings(Json& json, const std::vector<Finding>& findings) {
  json.open('[');
  for (const Finding& finding : findings) {
    json.open('{')
        .field("id", finding.id)
        .field("severity", severity_name(finding.severity))
        .field("what", finding.what)
        .field("why", finding.why)
        .field("remedy", finding.remedy)
        .key("cures");
    write(json, finding.cures);
    json.array("pools", finding.pools).close('}');
  }
  json.close(']');
}

std::string findings_json(const std::vector<Finding>& findings) {
  Json json;
  json.open('{').field("schema_version", 1).key("findings");
  write_findings(json, findings);
  json.close('}');
  return json.text();
}

Result<std::vector<Finding>> findings_from_json(std::string_view text) {
  const auto document = read_json(text);
  if (!document) return document.error();
  std::vector<Finding> findings;
  for (const JsonValue& told : document->items_at("findings")) {
    Finding finding{told.text_at("id"), severity_named(told.text_at("severity")),
                    told.text_at("what"), told.text_at("why"), told.text_at("remedy")};
    if (const JsonValue* const cures = told.find("cures")) {
      finding.cures = {cures->text_at("shell"), cures->text_at("notebook"),
                       cures->text_at("python")};
    }
    for (const JsonValue& path : told.items_at("pools")) finding.pools.push_back(path.text);
    findings.push_back(std::move(finding));
  }
  return findings;
}

}  // namespace corewise
