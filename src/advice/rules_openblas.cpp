// OpenBLAS: room for callers, idle workers, kernels, leaked counts.
#include <algorithm>
#include <string>
#include <utility>

#include "base/text.h"
#include "caller_slots.h"
#include "core_types.h"
#include "rules.h"
#include "sentences.h"

namespace corewise::rules {
namespace {

// OPENBLAS_THREAD_TIMEOUT with which an idle worker sleeps too soon to be felt: after at most 2^20
// cycles.
constexpr int kShortTimeout = 20;

// The copies without room for this many callers; the one with the least room first.
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

}  // namespace

void slots(const ProcessFacts& facts, Findings& out) {
  const int callers = openmp_threads(facts);
  const Pools small = too_small_for(callers, facts);
  if (small.empty()) return;
  const PoolFacts& least = *small.front();
  const int workers = std::max(0, least.threads - 1);
  const int room = callers_that_fit(least.caller_slots, workers);
  const std::string fewer = n(std::min(room, whole_threads(facts.budget)));
  Finding finding{"openblas-slots",
                  Severity::kDanger,
                  plural(callers, "thread") + " may call OpenBLAS at once, which has room for " +
                      grouped(room) + " (" + names(small, copy) + ")",
                  "Each call takes a slot while it runs, and each BLAS worker keeps one: " +
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
  // OpenBLAS ignores 0.
  if (timeout && *timeout > 0 && *timeout <= kShortTimeout) return;
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
                      " copies of OpenBLAS can slow each other down: " + names(pools, copy),
                  "An idle worker keeps a CPU busy for up to a tenth of a second before it sleeps. "
                  "So a program that alternates between the copies (LogisticRegression, KMeans) "
                  "takes 2 to 16 times as long as it should",
                  {},
                  {},
                  paths(pools)};
  govern_first(finding, "under which idle workers sleep soon",
               {"OPENBLAS_THREAD_TIMEOUT=16", "%threads blas=1",
                "corewise.limits(blas=1) around such code"});
  out.push_back(std::move(finding));
}

void core_type(const ProcessFacts& facts, Findings& out) {
  const std::string* forced = variable(facts, "OPENBLAS_CORETYPE");
  // If there are no pools yet, the program may load OpenBLAS next.
  if (forced == nullptr || (!facts.pools.empty() && !has_runtime(facts, "openblas"))) return;
  const int best = core_type_level(facts.best_architecture);
  const int level = core_type_level(*forced);
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

// A limit over the control socket explains why a program is slow.
void limited_from_outside(const ProcessFacts& facts, Findings& out) {
  Pools pools;
  for (const PoolFacts& pool : facts.pools) {
    if (pool.limit > 0) pools.push_back(&pool);
  }
  if (pools.empty()) return;
  out.push_back({"limit-from-outside",
                 Severity::kNote,
                 names(pools,
                       [](const PoolFacts& pool) {
                         return name(pool) + " runs at most " + plural(pool.limit, "thread");
                       }) +
                     ": `corewise limit`, `corewise top` or JupyterLab's item set that",
                 "such a limit holds until somebody ends it, whatever the program sets",
                 "corewise limit --pid " + n(facts.pid) + " --restore",
                 {},
                 paths(pools)});
}

// If a pool runs one thread and nothing asks for that, a limit most likely leaked: two overlapping
// threadpool_limits(1) of threadpoolctl leave OpenBLAS at 1 for good.
void leaked(const ProcessFacts& facts, Findings& out) {
  if (facts.corewise_limits_open || whole_threads(facts.budget) < 2) return;
  for (const char* name : {"OPENBLAS_NUM_THREADS", "OPENBLAS_DEFAULT_NUM_THREADS",
                           "GOTO_NUM_THREADS", "OMP_NUM_THREADS"}) {
    if (variable(facts, name) != nullptr) return;
  }
  Pools pools;
  for (const PoolFacts& pool : facts.pools) {
    if (pool.runtime != "openblas" || pool.layer != "pthreads" || pool.threads != 1) continue;
    if (!is_grant(facts, pool) && pool.limit == 0) pools.push_back(&pool);
  }
  if (pools.empty()) return;
  const bool knows = !facts.from_outside || facts.answers;
  const std::string all = n(whole_threads(facts.budget));
  out.push_back(
      {"limit-leaked",
       facts.from_outside ? Severity::kNote : Severity::kWarning,
       each_runs(pools) + (knows ? ", and neither a variable nor a limit of corewise explains it"
                                 : ", and no variable explains it"),
       std::string(knows ? "another library" : "a library") +
           " set it and did not set it back; overlapping threadpoolctl limits from two threads do "
           "that" +
           (facts.from_outside ? std::string(". From outside, a limit that is open just now looks "
                                             "the same, ") +
                                     (knows ? "if it is of another library, " : "") +
                                     "and so does what corewise limit --force wrote"
                               : ""),
       "corewise.limits(blas=" + all +
           ") sets it right; corewise.install_as_threadpoolctl() stops the leak",
       {.shell = {},
        .notebook = "%threads blas=" + all +
                    " sets it right; corewise.install_as_threadpoolctl() stops the leak",
        .python = {}},
       paths(pools)});
}

void blas_alone(const ProcessFacts& facts, Findings& out) {
  const bool limited =
      std::any_of(facts.pools.begin(), facts.pools.end(),
                  [](const PoolFacts& pool) { return pool.api == CW_API_OPENMP && pool.governed; });
  const int callers = limited ? 0 : openmp_threads(facts);
  const bool blas_low =
      std::any_of(facts.pools.begin(), facts.pools.end(), [&](const PoolFacts& pool) {
        return pool.api == CW_API_BLAS && pool.threads > 0 &&
               pool.threads < whole_threads(facts.budget);
      });
  if (!blas_low || callers <= whole_threads(facts.budget)) return;
  out.push_back(
      {"blas-limited-alone",
       Severity::kNote,
       "BLAS is limited, OpenMP is not (" + plural(callers, "thread") + ")",
       "regions of OpenMP threads that each call BLAS run as many threads as OpenMP has, "
       "whatever BLAS's own limit",
       "limit both: corewise.limits(openmp=" + n(whole_threads(facts.budget)) + ", blas=1)",
       {.shell = "limit both: corewise run --openmp " + n(whole_threads(facts.budget)) +
                 " --blas 1 -- ...",
        .notebook = "limit both: %threads openmp=" + n(whole_threads(facts.budget)) + " blas=1",
        .python = {}}});
}

}  // namespace corewise::rules
