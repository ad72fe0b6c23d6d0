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

#include "caller_slots.h"
#include "kernels.h"
#include "text.h"

namespace corewise {
namespace {

// Slots OpenBLAS adds, once, after its warning (driver/others/memory.c, NEW_BUFFERS).
// OPENBLAS_THREAD_TIMEOUT where an idle worker sleeps soon enough not to be felt: 2^16 cycles.
constexpr int kShortTimeout = 20;

using Findings = std::vector<Finding>;

std::string n(int number) { return std::to_string(number); }

std::string plural(int count, const char* noun) {
  return n(count) + " " + noun + (count == 1 ? "" : "s");
}

std::string cpus(double count) {
  std::array<char, 32> text;
  const auto rounded = std::round(count * 100) / 100;
  const auto [end, error] = std::to_chars(text.data(), text.data() + text.size(), rounded);
  return error == std::errc{} ? std::string(text.data(), end) : "?";
}

int whole(double count) { return std::max(1, static_cast<int>(std::floor(count + 1e-9))); }

// The file name without its folder: enough to tell copies apart in a sentence.
std::string file(const PoolFacts& pool) { return std::string(file_name(pool.path)); }

const std::string* variable(const Patient& patient, const char* name) {
  const auto found = patient.environment.find(name);
  return found == patient.environment.end() || found->second.empty() ? nullptr : &found->second;
}

std::optional<int> number(const Patient& patient, const char* name) {
  const std::string* text = variable(patient, name);
  return text == nullptr ? std::nullopt : first_count(*text);
}

int openmp_threads(const Patient& patient) {
  int most = 0;
  for (const PoolFacts& pool : patient.pools) {
    if (pool.api == CW_API_OPENMP) most = std::max(most, pool.threads);
  }
  return most;
}

// What is read from outside is then what the last call was granted, not what the program set.
bool is_grant(const Patient& patient, const PoolFacts& pool) {
  return patient.from_outside && pool.governed;
}

bool has_runtime(const Patient& patient, std::string_view name) {
  return std::any_of(patient.pools.begin(), patient.pools.end(),
                     [&](const PoolFacts& pool) { return pool.runtime == name; });
}

void slots(const Patient& patient, Findings& out) {
  const int callers = openmp_threads(patient);
  for (const PoolFacts& pool : patient.pools) {
    if (pool.caller_slots == 0 || callers == 0 || pool.governed) continue;
    const int workers = std::max(0, pool.threads - 1);
    const int safe = callers_that_fit(pool.caller_slots, workers);
    if (callers <= safe) continue;
    const int needed = callers + workers;
    const int last = pool.caller_slots + kReserveSlots;
    const bool dies = callers > callers_that_fit(last, workers);
    out.push_back({"openblas-slots", dies ? Severity::kDanger : Severity::kWarning,
                   plural(callers, "OpenMP thread") + " can call " + file(pool) +
                       " at once, which has " + n(pool.caller_slots) + " slots for calls",
                   n(callers) + " callers + " + plural(workers, "worker") + " = " + n(needed) +
                       " slots; it was built with " + n(pool.caller_slots) + " (+ " +
                       n(kReserveSlots) + " after a warning). " +
                       (dies ? "Past " + n(last) + " it has no memory to give and the process dies"
                             : "It will warn \"precompiled NUM_THREADS exceeded\"; past " +
                                   n(last) + " the process dies") +
                       ". Limiting BLAS threads does not help: the callers are what counts",
                   "limit OpenMP to " + n(std::min(safe, whole(patient.budget))) +
                       ": OMP_NUM_THREADS before the start, or corewise.limits(openmp=" +
                       n(std::min(safe, whole(patient.budget))) + ")"});
  }
}

void spinning(const Patient& patient, Findings& out) {
  const auto timeout = number(patient, "OPENBLAS_THREAD_TIMEOUT");
  if (timeout && *timeout <= kShortTimeout) return;
  std::string names;
  int pools = 0;
  for (const PoolFacts& pool : patient.pools) {
    if (pool.runtime != "openblas" || pool.layer != "pthreads" || pool.threads < 2) continue;
    if (pool.governed) continue;  // its idle workers sleep soon
    names += (pools++ == 0 ? "" : " and ") + file(pool);
  }
  if (pools < 2) return;
  out.push_back({"openblas-spinning", Severity::kWarning,
                 n(pools) + " copies of OpenBLAS have pools of their own: " + names,
                 "an idle worker busy-waits 2^26 cycles before it sleeps, so a program that "
                 "alternates between the copies (LogisticRegression, KMeans) runs up to 13 times "
                 "slower than it should",
                 "start with OPENBLAS_THREAD_TIMEOUT=16, or limit BLAS to 1 around such code: "
                 "corewise.limits(blas=1)"});
}

void above_budget(const Patient& patient, Findings& out) {
  const int most = static_cast<int>(std::ceil(patient.budget - 1e-9));
  for (const PoolFacts& pool : patient.pools) {
    if (pool.threads <= std::max(1, most) || pool.governed) continue;
    const std::string api = kApiNames[static_cast<std::size_t>(pool.api)];
    const std::string count = n(whole(patient.budget));
    // oneTBB and Arrow have no variable of their own that `run` could set.
    const bool runs = pool.api != CW_API_TBB && pool.api != CW_API_ARROW;
    out.push_back({"above-budget", Severity::kWarning,
                   file(pool) + " would run " + plural(pool.threads, "thread") + " on " +
                       cpus(patient.budget) + " CPUs",
                   "the budget is " + cpus(patient.budget) +
                       (patient.budget_reason.empty() ? "" : " (" + patient.budget_reason + ")") +
                       "; the threads above it wait for one another, and under a quota all are "
                       "stopped together",
                   "corewise.limits(" + api + "=" + count + ")" +
                       (runs ? ", or corewise run --" + api + " " + count + " -- ..." : "")});
  }
}

void two_openmps(const Patient& patient, Findings& out) {
  if (!has_runtime(patient, "libomp") || !has_runtime(patient, "libiomp")) return;
  out.push_back({"libomp-and-libiomp", Severity::kDanger,
                 "LLVM's libomp and Intel's libiomp5 are both loaded",
                 "they are builds of one runtime and do not tolerate each other: programs were "
                 "seen to hang or crash",
                 "install both libraries from one channel, so that they share one OpenMP; with "
                 "MKL, MKL_THREADING_LAYER=GNU avoids libiomp5"});
}

// MKL's layer shows inside the process alone, once MKL was used: before, or from outside, an Intel
// runtime beside MKL's own files is taken for it.
void mkl_beside_libgomp(const Patient& patient, Findings& out) {
  const auto libgomp = std::ranges::find(patient.pools, "libgomp", &PoolFacts::runtime);
  if (libgomp == patient.pools.end()) return;
  for (const PoolFacts& pool : patient.pools) {
    if (pool.runtime != "mkl") continue;
    const bool likely =
        pool.layer.empty() && file(pool).starts_with("libmkl") && has_runtime(patient, "libiomp");
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
void numba_after_fork(const Patient& patient, Findings& out) {
  if (!patient.forked_after_openmp || !has_runtime(patient, "libgomp")) return;
  for (const PoolFacts& pool : patient.pools) {
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
std::vector<std::string> variables_that_spin(const Patient& patient) {
  constexpr double kManyTurns = 1e8;
  constexpr double kLongMs = 1000;
  std::vector<std::string> found;
  const auto check = [&](const char* name, const auto& spins) {
    const std::string* const text = variable(patient, name);
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

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (std::size_t i = 0; i < words.size(); ++i) {
    text += (i == 0 ? "" : i + 1 == words.size() ? " and " : ", ") + words[i];
  }
  return text;
}

void wait_policy(const Patient& patient, Findings& out) {
  // With no pools yet, an OpenMP runtime may be what is loaded next.
  const bool openmp =
      std::ranges::find(patient.pools, CW_API_OPENMP, &PoolFacts::api) != patient.pools.end();
  if (!patient.pools.empty() && !openmp) return;
  const std::vector<std::string> names = variables_that_spin(patient);
  if (names.empty()) return;
  out.push_back(
      {"wait-policy-active", Severity::kWarning,
       joined(names) + (names.size() == 1 ? " keeps" : " keep") + " idle OpenMP threads spinning",
       "a worker that waits for the next region busy-waits for seconds or for ever: it "
       "takes a CPU from other pools and processes, and spins under 'corewise run' too, "
       "which leaves alone what you set yourself",
       "unset it unless one OpenMP program has these CPUs to itself; OMP_WAIT_POLICY=passive "
       "lets idle threads sleep at once"});
}

void workers_spin(const Patient& patient, Findings& out) {
  const std::vector<std::string> names = variables_that_spin(patient);
  for (const PoolFacts& pool : patient.pools) {
    if (pool.spinning < 1) continue;
    out.push_back({"workers-spin", Severity::kWarning,
                   plural(pool.spinning, "idle worker") + " of " + file(pool) +
                       (pool.spinning == 1 ? " spins" : " spin"),
                   "nobody was in a parallel region or BLAS call, seen twice, and they ran all the "
                   "same: each keeps a CPU busy" +
                       (names.empty() ? std::string() : " (" + joined(names) + ")"),
                   names.empty()
                       ? "OMP_WAIT_POLICY=passive or OPENBLAS_THREAD_TIMEOUT=16 before the "
                         "start lets them sleep"
                       : "unset " + joined(names) + ", or set OMP_WAIT_POLICY=passive"});
  }
}

void dynamic_teams(const Patient& patient, Findings& out) {
  const std::string* const asked = variable(patient, "OMP_DYNAMIC");
  const bool by_user = asked != nullptr && (same_word(trim(*asked), "true") || *asked == "1");
  for (const PoolFacts& pool : patient.pools) {
    if (!pool.dynamic) continue;
    std::vector<std::string> callers;
    bool opencv = false;
    for (const std::string& path : patient.sets_dynamic) {
      callers.emplace_back(file_name(path));
      opencv = opencv || path.find("opencv") != path.npos || path.find("cv2") != path.npos;
    }
    const std::string by = by_user           ? "OMP_DYNAMIC=" + *asked + " says so"
                           : callers.empty() ? "A library or the program called omp_set_dynamic"
                                             : "omp_set_dynamic is called by " + joined(callers);
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
void ledger_holders(const Patient& patient, Findings& out) {
  for (const HeldLedger& ledger : patient.ledgers) {
    int sum = 0;
    std::vector<std::string> all;
    for (const Holder& holder : ledger.holders) {
      sum += holder.tokens;
      all.push_back(named(holder) + " " + n(holder.tokens));
      const std::string held = " holds " + n(holder.tokens) + " of the " +
                               plural(ledger.budget, "thread") + " of the ledger";
      const bool frozen = holder.state == Holder::State::kFrozen;
      if (frozen || holder.state == Holder::State::kStopped) {
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
      } else if (holder.state == Holder::State::kGone) {
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
         "all " + plural(ledger.budget, "thread") + " of the ledger are held: " + joined(all),
         "a region or BLAS call gets what is free as it starts, at least one thread",
         "nothing if they are to share. To part them: corewise limit --pid, or "
         "corewise run --group NAME with a budget of its own"});
  }
}

// A governed child has teams of new threads (govern/dead_workers.h).
void fork_after_openmp(const Patient& patient, Findings& out) {
  const bool governed = std::ranges::all_of(patient.pools, [](const PoolFacts& pool) {
    return pool.runtime != "libgomp" || pool.governed;
  });
  if (!patient.forked_after_openmp || governed) return;
  out.push_back({"fork-after-openmp", Severity::kDanger,
                 "this process was forked from one that had used OpenMP",
                 "libgomp's threads do not survive a fork, and its first parallel region in the "
                 "child may wait for them for ever",
                 "run the program under 'corewise run', where children have new threads; or start "
                 "workers with the 'spawn' or 'forkserver' method, or use loky"});
}

void core_type(const Patient& patient, Findings& out) {
  const std::string* forced = variable(patient, "OPENBLAS_CORETYPE");
  // With no pools yet, OpenBLAS may be what is loaded next.
  if (forced == nullptr || (!patient.pools.empty() && !has_runtime(patient, "openblas"))) return;
  const int best = kernel_level(patient.best_architecture);
  const int level = kernel_level(*forced);
  if (best != 0 && level == best) return;
  std::string why = "kernels for an older CPU can be half as fast, and give other last digits";
  if (best != 0 && level == 0) {
    why = "OpenBLAS knows no kernels of that name";
  } else if (best != 0) {
    why = "this CPU can run " + patient.best_architecture +
          (level < best ? "; kernels for an older one can be half as fast, and give other last "
                          "digits"
                        : "; instructions that it lacks end the program");
  }
  out.push_back({"openblas-coretype", Severity::kWarning,
                 "OPENBLAS_CORETYPE=" + *forced + " chooses OpenBLAS's kernels by hand",
                 std::move(why), "unset OPENBLAS_CORETYPE unless you mean it"});
}

void variables_above_budget(const Patient& patient, Findings& out) {
  for (const char* name : {"OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS",
                           "BLIS_NUM_THREADS", "NUMBA_NUM_THREADS"}) {
    const std::string* text = variable(patient, name);
    if (text == nullptr) continue;
    const auto asked = number(patient, name);
    if (!asked || *asked < 1) {
      out.push_back({"variable-not-a-count", Severity::kWarning,
                     std::string(name) + "=" + *text + " is no thread count",
                     "the libraries ignore it, each in its own way",
                     std::string("set ") + name + " to a whole number from 1, or unset it"});
    } else if (*asked > std::ceil(patient.budget - 1e-9)) {
      out.push_back({"variable-above-budget", Severity::kWarning,
                     std::string(name) + "=" + *text + ", and the budget is " +
                         cpus(patient.budget) + " CPUs",
                     "more threads than CPUs wait for one another",
                     std::string(name) + "=" + n(whole(patient.budget))});
    }
  }
}

void variable_without_effect(const Patient& patient, Findings& out) {
  const auto asked = number(patient, "OPENBLAS_NUM_THREADS");
  if (!asked || *asked < 1 || patient.corewise_limits_open) return;
  for (const PoolFacts& pool : patient.pools) {
    if (pool.runtime != "openblas" || pool.threads == 0 || pool.threads == *asked) continue;
    if (is_grant(patient, pool)) continue;
    const bool openmp = pool.layer == "openmp";
    out.push_back(
        {"variable-without-effect", Severity::kNote,
         "OPENBLAS_NUM_THREADS=" + n(*asked) + ", but " + file(pool) + " runs " +
             plural(pool.threads, "thread"),
         openmp ? "this build takes its threads from OpenMP, so OMP_NUM_THREADS rules"
                : "the variable is read once, when the library loads, and capped at the "
                  "CPUs of the process; a setter may have changed the count since",
         openmp ? "set OMP_NUM_THREADS instead"
                : "set it before Python starts, or use corewise.limits(blas=" + n(*asked) + ")"});
  }
}

void blas_alone(const Patient& patient, Findings& out) {
  const bool limited =
      std::any_of(patient.pools.begin(), patient.pools.end(),
                  [](const PoolFacts& pool) { return pool.api == CW_API_OPENMP && pool.governed; });
  const int callers = limited ? 0 : openmp_threads(patient);
  const bool blas_low =
      std::any_of(patient.pools.begin(), patient.pools.end(), [&](const PoolFacts& pool) {
        return pool.api == CW_API_BLAS && pool.threads > 0 && pool.threads < whole(patient.budget);
      });
  if (!blas_low || callers <= whole(patient.budget)) return;
  out.push_back({"blas-limited-alone", Severity::kNote,
                 "BLAS is limited, OpenMP is not (" + plural(callers, "thread") + ")",
                 "regions of OpenMP threads that each call BLAS run as many threads as OpenMP has, "
                 "whatever BLAS's own limit",
                 "limit both: corewise.limits(openmp=" + n(whole(patient.budget)) + ", blas=1)"});
}

void mkl_dynamic(const Patient& patient, Findings& out) {
  for (const PoolFacts& pool : patient.pools) {
    if (!pool.mkl_dynamic) continue;
    const auto asked = number(patient, "MKL_NUM_THREADS");
    if (!asked || pool.threads == 0 || pool.threads >= *asked) continue;
    if (patient.corewise_limits_open) continue;
    out.push_back({"mkl-dynamic", Severity::kNote,
                   "MKL_NUM_THREADS=" + n(*asked) + ", but MKL will use " + n(pool.threads),
                   "MKL_DYNAMIC is on: it lowers the count to the physical cores without a word",
                   "set MKL_DYNAMIC=FALSE if you mean the number"});
  }
}

// A pool that runs one thread with nobody saying so was most likely left behind: two overlapping
// threadpool_limits(1) of threadpoolctl leave OpenBLAS at 1 for good.
void leaked(const Patient& patient, Findings& out) {
  if (patient.corewise_limits_open || whole(patient.budget) < 2) return;
  for (const PoolFacts& pool : patient.pools) {
    if (pool.runtime != "openblas" || pool.layer != "pthreads" || pool.threads != 1) continue;
    if (is_grant(patient, pool)) continue;
    if (variable(patient, "OPENBLAS_NUM_THREADS") != nullptr ||
        variable(patient, "GOTO_NUM_THREADS") != nullptr ||
        variable(patient, "OMP_NUM_THREADS") != nullptr) {
      continue;
    }
    out.push_back(
        {"limit-leaked", patient.from_outside ? Severity::kNote : Severity::kWarning,
         file(pool) + " runs 1 thread, and neither a variable nor a limit of corewise "
                      "says so",
         std::string("another library set it and did not set it back; overlapping "
                     "threadpoolctl limits from two threads do that") +
             (patient.from_outside ? ". A limit that is open just now looks the same from outside"
                                   : ""),
         "corewise.limits(blas=" + n(whole(patient.budget)) +
             ") sets it right; corewise.install_as_threadpoolctl() stops the leak"});
  }
}

constexpr std::array<void (*)(const Patient&, Findings&), 17> kRules = {
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

std::vector<Finding> examine(const Patient& patient) {
  Findings found;
  for (const auto rule : kRules) rule(patient, found);
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
        .close('}');
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

}  // namespace corewise
