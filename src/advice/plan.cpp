#include "plan.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <utility>

#include "base/text.h"
#include "budget/budget_types.h"
#include "caller_slots.h"

namespace corewise {
namespace {

constexpr const char* kWish = "your wish";
constexpr int kNoLimit = std::numeric_limits<int>::max();

// An upper bound and its reason, so that each number can say what chose it.
struct Bound {
  int most = kNoLimit;
  std::string reason;

  void tighten(int other, std::string why) {
    if (other >= most) return;
    most = other;
    reason = std::move(why);
  }
};

// What the loaded pools mean for the division.
struct PoolBounds {
  bool openmp = true;  // there is, or may be, a level above BLAS
  bool blas = true;
  Bound openmp_ceiling;
  Bound blas_ceiling;
  std::vector<const PoolFacts*> with_slots;  // the copies of OpenBLAS that we do not govern
};

// Counts that the program sets would not reach it, and it has no width of its own: numba's
// workqueue.
bool takes_no_part(const PoolFacts& pool) {
  return pool.scope == CW_SCOPE_NONE && pool.ceiling == 0;
}

PoolBounds survey(const std::vector<PoolFacts>& pools) {
  PoolBounds result;
  if (pools.empty()) return result;
  result.openmp = false;
  result.blas = false;
  int openmp_most = 0;
  int blas_most = 0;
  for (const PoolFacts& pool : pools) {
    const bool is_blas = pool.api == CW_API_BLAS;
    (is_blas ? result.blas : result.openmp) = true;
    // The level is as wide as its widest pool; each other pool gets its own limit.
    int& most = is_blas ? blas_most : openmp_most;
    most = std::max(most, pool.ceiling > 0 ? pool.ceiling : kNoLimit);
    // A governed pool has slots for all callers.
    if (pool.caller_slots > 0 && !pool.governed) result.with_slots.push_back(&pool);
  }
  if (result.openmp) {
    result.openmp_ceiling.tighten(openmp_most, "the most its pools were built for");
  }
  if (result.blas) result.blas_ceiling.tighten(blas_most, "the most its pools were built for");
  return result;
}

std::optional<Error> check(const PlanInput& input) {
  if (!std::isfinite(input.cpus) || input.cpus <= 0) {
    return Error{CW_BAD_ARGUMENT,
                 "A plan needs a budget above 0 CPUs, not " + format_cpus(input.cpus) + "."};
  }
  if (input.processes < 0 || input.processes > CW_MAX_THREADS) {
    return Error{CW_BAD_COUNT, "A plan for " + std::to_string(input.processes) +
                                   " processes makes no sense; give 1 to " +
                                   std::to_string(CW_MAX_THREADS) + ", or 0 if not known."};
  }
  const std::array<std::pair<const char*, std::optional<int>>, 3> wishes = {
      {{"processes", input.wishes.processes},
       {"openmp", input.wishes.openmp},
       {"blas", input.wishes.blas}}};
  for (const auto& [name, wish] : wishes) {
    if (wish && (*wish < 1 || *wish > CW_MAX_THREADS)) {
      return Error{CW_BAD_COUNT, "The wish " + std::string(name) + "=" + std::to_string(*wish) +
                                     " is not a count; give 1 to " +
                                     std::to_string(CW_MAX_THREADS) + "."};
    }
  }
  return std::nullopt;
}

PlanLevel choose_processes(const PlanInput& input, int floor) {
  Bound bound;
  if (input.processes > 0) {
    bound.tighten(input.processes, "as many as the program starts");
  } else if (!input.wishes.processes) {
    bound.tighten(1, "you gave no number; 1 is assumed");
  }
  if (input.wishes.processes) bound.tighten(*input.wishes.processes, kWish);
  const int wanted = bound.most;
  bound.tighten(floor, counted(wanted, "process") + " wanted; the budget holds " +
                           std::to_string(floor) + " at once");
  return {"processes", bound.most, std::move(bound.reason)};
}

std::string share_words(int share, int floor, const PlanLevel& processes) {
  if (processes.count == 1) return "the whole budget";
  return std::to_string(share) + " of " + std::to_string(floor) + " CPUs for each of " +
         counted(processes.count, "process");
}

std::string slots_words(const PoolFacts& pool, const std::string& included) {
  return std::string(file_name(pool.path)) + " holds " + counted(pool.caller_slots, "call") +
         " at once, " + included + " included";
}

// Bounds the OpenMP threads so that all may call besides `workers` workers, or besides those that
// already run.
void fit_callers(Bound& openmp, const PoolBounds& pools, int workers) {
  for (const PoolFacts* pool : pools.with_slots) {
    const int held = std::max(workers, pool->threads - 1);
    openmp.tighten(callers_that_fit(pool->caller_slots, held),
                   slots_words(*pool, held == 0 ? "one of each OpenMP thread"
                                                : "its " + counted(held, "worker")));
  }
}

// Bounds the pool's threads so that `callers` may all call it.
void fit_workers(Bound& blas, const PoolBounds& pools, int callers) {
  for (const PoolFacts* pool : pools.with_slots) {
    blas.tighten(
        std::max(1, pool->caller_slots - callers + 1),
        slots_words(*pool, callers == 1 ? "one of each worker" : "one of each OpenMP thread"));
  }
}

struct Inner {
  PlanLevel openmp;
  PlanLevel blas;
};

// The share of one process, OpenMP first.
Inner openmp_first(const PlanInput& input, const PoolBounds& pools, int share, std::string words) {
  Bound openmp;
  openmp.tighten(share, std::move(words));
  if (input.wishes.openmp) openmp.tighten(*input.wishes.openmp, kWish);
  openmp.tighten(pools.openmp_ceiling.most, pools.openmp_ceiling.reason);
  fit_callers(openmp, pools, 0);

  Bound blas;
  if (!pools.blas) {
    blas.tighten(1, "no BLAS pool is present");
  } else if (!input.wishes.blas) {
    blas.tighten(1, "each OpenMP thread makes its BLAS calls alone");
  } else {
    blas.tighten(*input.wishes.blas, kWish);
    blas.tighten(share / openmp.most, "what OpenMP leaves of the share");
    blas.tighten(pools.blas_ceiling.most, pools.blas_ceiling.reason);
    fit_workers(blas, pools, openmp.most);
  }
  return {{"openmp", openmp.most, std::move(openmp.reason)},
          {"blas", blas.most, std::move(blas.reason)}};
}

// The share of one process, BLAS first: it is the only level, or the one the user named.
Inner blas_first(const PlanInput& input, const PoolBounds& pools, int share, std::string words) {
  Bound blas;
  blas.tighten(share, std::move(words));
  if (input.wishes.blas) blas.tighten(*input.wishes.blas, kWish);
  blas.tighten(pools.blas_ceiling.most, pools.blas_ceiling.reason);
  fit_workers(blas, pools, 1);

  Bound openmp;
  if (!pools.openmp) {
    openmp.tighten(1, "no OpenMP pool is present");
  } else {
    openmp.tighten(share / blas.most, "what BLAS leaves of the share");
    openmp.tighten(pools.openmp_ceiling.most, pools.openmp_ceiling.reason);
    fit_callers(openmp, pools, blas.most - 1);
  }
  return {{"openmp", openmp.most, std::move(openmp.reason)},
          {"blas", blas.most, std::move(blas.reason)}};
}

// Pools that are neither OpenMP nor BLAS (oneTBB, Arrow, Numba) count as OpenMP's level.
int count_for(const Plan& plan, Api api) {
  return api == CW_API_BLAS ? plan.blas.count : plan.openmp.count;
}

// One value per name: the smaller if two runtimes read the same variable.
void fill_environment(Plan& plan, const std::vector<EnvVariable>& variables) {
  for (const EnvVariable& variable : variables) {
    const int value = count_for(plan, variable.api);
    const auto same =
        std::find_if(plan.environment.begin(), plan.environment.end(),
                     [&](const PlanVariable& other) { return other.name == variable.name; });
    if (same == plan.environment.end()) {
      plan.environment.push_back({variable.name, value});
    } else {
      same->value = std::min(same->value, value);
    }
  }
}

// What counts CPUs gets the whole budget, which the three levels divide: joblib derives from it how
// many processes it starts, and scikit-learn its OpenMP teams.
void fill_presets(Plan& plan, std::span<const preset_counts::Preset> presets) {
  for (const preset_counts::Preset& variable : presets) {
    if (!variable.preset) continue;
    plan.environment.push_back({variable.name, variable.cpus ? plan.floor : plan.openmp.count});
  }
}

void fill_limits(Plan& plan, const std::vector<PoolFacts>& pools) {
  for (const PoolFacts& pool : pools) {
    Bound threads;
    threads.tighten(count_for(plan, pool.api), "the plan's");
    if (pool.ceiling > 0) threads.tighten(pool.ceiling, "the most this pool was built for");
    plan.limits.push_back({std::string(file_name(pool.path)), pool.path, pool.api, threads.most,
                           std::move(threads.reason)});
  }
}

}  // namespace

Result<Plan> make_plan(const PlanInput& input) {
  if (auto error = check(input)) return *std::move(error);
  Plan plan;
  plan.cpus = input.cpus;
  plan.floor = whole_threads(std::min(input.cpus, static_cast<double>(CW_MAX_THREADS)));
  plan.processes = choose_processes(input, plan.floor);
  const int share = plan.floor / plan.processes.count;
  std::vector<PoolFacts> taking_part = input.pools;
  std::erase_if(taking_part, takes_no_part);
  const PoolBounds pools = survey(taking_part);

  const bool blas_alone = pools.blas && !pools.openmp;
  const bool blas_named = pools.blas && input.wishes.blas && !input.wishes.openmp;
  std::string words = share_words(share, plan.floor, plan.processes);
  Inner inner = blas_alone || blas_named ? blas_first(input, pools, share, std::move(words))
                                         : openmp_first(input, pools, share, std::move(words));
  plan.openmp = std::move(inner.openmp);
  plan.blas = std::move(inner.blas);
  plan.threads = plan.processes.count * plan.openmp.count * plan.blas.count;
  plan.unused = plan.floor - plan.threads;
  fill_environment(plan, input.environment);
  fill_presets(plan, input.presets);
  fill_limits(plan, taking_part);
  return plan;
}

}  // namespace corewise
