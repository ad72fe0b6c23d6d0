// OpenMP, and MKL and Numba over it: runtimes side by side, forks, spinning, dynamic teams.
#include <algorithm>
#include <cmath>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/text.h"
#include "rules.h"
#include "sentences.h"

namespace corewise::rules {
namespace {

// A number with a unit; nothing if it is not one; HUGE_VAL for "infinite" and "infinity".
using Units = std::initializer_list<std::pair<std::string_view, double>>;
std::optional<double> amount(std::string_view text, const Units& units) {
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

// The variables, as NAME=value, that make idle OpenMP threads spin for longer than anybody waits.
// The default of libgomp is 300,000 turns, some milliseconds; LLVM's is 200 ms.
// A runtime that has a number of its own does not read the policy.
std::vector<std::string> variables_that_spin(const ProcessFacts& facts) {
  constexpr double kManyTurns = 1e8;
  constexpr double kLongMs = 1000;
  const auto amount_of = [&](const char* name, const Units& units) {
    const std::string* const text = variable(facts, name);
    return text == nullptr ? std::nullopt : amount(*text, units);
  };
  const auto turns = amount_of("GOMP_SPINCOUNT", {{"k", 1e3}, {"m", 1e6}, {"g", 1e9}, {"t", 1e12}});
  const auto ms = amount_of("KMP_BLOCKTIME", {{"us", 1e-3}, {"ms", 1}, {"s", 1e3}});
  const bool gnu = has_runtime(facts, "libgomp");
  const bool llvm = has_runtime(facts, "libomp") || has_runtime(facts, "libiomp");
  // If none is loaded, either may be the next.
  const bool policy_read = (!turns && (gnu || !llvm)) || (!ms && (llvm || !gnu));
  std::vector<std::string> found;
  const auto check = [&](const char* name, bool matters, const auto& spins) {
    const std::string* const text = variable(facts, name);
    if (matters && text != nullptr && spins(trim(*text))) {
      found.push_back(std::string(name) + "=" + *text);
    }
  };
  const auto is = [](std::string_view word) {
    return [word](std::string_view text) { return same_word(text, word); };
  };
  const auto always = [](std::string_view) { return true; };
  check("OMP_WAIT_POLICY", policy_read, is("active"));
  check("GOMP_SPINCOUNT", turns.value_or(0) >= kManyTurns, always);
  check("KMP_BLOCKTIME", ms.value_or(0) >= kLongMs, always);
  check("KMP_LIBRARY", !ms, is("turnaround"));
  return found;
}

}  // namespace

void two_openmps(const ProcessFacts& facts, Findings& out) {
  if (!has_runtime(facts, "libomp") || !has_runtime(facts, "libiomp")) return;
  out.push_back({"libomp-and-libiomp", Severity::kDanger,
                 "LLVM's libomp and Intel's libiomp5 are both loaded",
                 "they are builds of one runtime and do not tolerate each other: programs were "
                 "seen to hang or crash",
                 "install both libraries from one channel, so that they share one OpenMP; with "
                 "MKL, MKL_THREADING_LAYER=GNU avoids libiomp5"});
}

// MKL's layer shows only inside the process, once the program has used MKL. Before that, or from
// outside, we take an Intel runtime beside MKL's own files as the INTEL layer.
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
         "MKL (" + file(pool) + ") " + (likely ? "probably runs" : "runs") +
             " on Intel's OpenMP, its INTEL layer, and GNU's " + file(*libgomp) + " is loaded too",
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

// Numba refuses to run after a fork (omppool.cpp), even if a governed child could have new teams.
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

void wait_policy(const ProcessFacts& facts, Findings& out) {
  // If there are no pools yet, the program may load an OpenMP runtime next.
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
       "unset it unless one OpenMP program has these CPUs to itself; without it, "
       "OMP_WAIT_POLICY=passive lets idle threads sleep at once"});
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
                 "they ran in two looks although no thread was in a parallel region or BLAS call: "
                 "each keeps a CPU busy" +
                     (variables.empty() ? std::string() : " (" + listed(variables) + ")"),
                 variables.empty()
                     ? "OMP_WAIT_POLICY=passive or OPENBLAS_THREAD_TIMEOUT=16 before the "
                       "start lets them sleep"
                     : "unset " + listed(variables),
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
                  ? "libgomp makes each team smaller by the machine's average load of the last 15 "
                    "minutes, even with a num_threads clause: a program that starts after a busy "
                    "quarter of an hour runs on one thread"
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

}  // namespace corewise::rules
