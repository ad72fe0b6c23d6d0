// More threads than CPUs, and the variables that ask for them.
#include <algorithm>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/text.h"
#include "pools/pool.h"
#include "rules.h"
#include "sentences.h"

namespace corewise::rules {
namespace {

constexpr const char* kOpenmpVariable = "OMP_NUM_THREADS";

// The variables by which runtimes are asked for threads, that of all OpenMP runtimes first.
std::vector<const char*> asking_variables() {
  std::vector<const char*> names = {kOpenmpVariable};
  for (const Runtime* runtime : runtimes()) {
    for (const EnvVariable& variable : runtime->environment) {
      const std::string_view name = variable.name;
      if (std::ranges::find(names, name) == names.end()) names.push_back(variable.name);
    }
  }
  return names;
}

bool is_heard_by(std::string_view variable, const PoolFacts& pool) {
  if (pool.layer == "openmp" && variable == kOpenmpVariable) return true;
  return std::ranges::any_of(runtimes(), [&](const Runtime* runtime) {
    return pool.runtime == runtime->name &&
           std::ranges::find(runtime->environment, variable, &EnvVariable::name) !=
               runtime->environment.end();
  });
}

Pools above_budget_of(const ProcessFacts& facts) {
  const int most = busy_threads(facts.budget);
  Pools above;
  for (const PoolFacts& pool : facts.pools) {
    if (pool.threads > most && !pool.governed) above.push_back(&pool);
  }
  return above;
}

bool explains(const char* variable, const ProcessFacts& facts, const Pools& pools) {
  const auto asked = number(facts, variable);
  return asked && std::ranges::any_of(pools, [&](const PoolFacts* pool) {
           return is_heard_by(variable, *pool) && pool->threads == *asked;
         });
}

// "openmp=2 blas=2": what `one` says for the API of each pool.
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
  const auto with = [&](Api api) { return std::string(api_name(api)) + "=" + count; };
  // oneTBB and Arrow have no variable of their own that `run` could set.
  const std::string options = counts_for(pools, " ", [&](Api api) {
    const bool runs = api != CW_API_TBB && api != CW_API_ARROW;
    return runs ? "--" + std::string(api_name(api)) + " " + count : std::string();
  });
  return {options.empty() ? std::string() : "corewise run --no-govern " + options + " -- ...",
          "%threads " + counts_for(pools, " ", with),
          "corewise.limits(" + counts_for(pools, ", ", with) + ")"};
}

}  // namespace

void above_budget(const ProcessFacts& facts, Findings& out) {
  const Pools above = above_budget_of(facts);
  if (above.empty()) return;
  const auto with_count = [](const PoolFacts& pool) {
    return name(pool) + " " + grouped(pool.threads);
  };
  std::vector<std::string> because;
  for (const char* name : asking_variables()) {
    if (explains(name, facts, above)) {
      because.push_back(std::string(name) + "=" + *variable(facts, name));
    }
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
               fixed_counts(above, n(whole_threads(facts.budget))));
  out.push_back(std::move(finding));
}

void variables_above_budget(const ProcessFacts& facts, Findings& out) {
  const Pools above = above_budget_of(facts);
  const std::string most = n(whole_threads(facts.budget));
  std::vector<std::string> too_many;
  std::vector<std::string> instead;
  for (const char* asking : asking_variables()) {
    const std::string name = asking;
    const std::string* const text = variable(facts, asking);
    if (text == nullptr) continue;
    const auto asked = number(facts, asking);
    if (!asked || *asked < 1) {
      out.push_back({"variable-not-a-count", Severity::kWarning,
                     name + "=" + *text + " is not a thread count",
                     "the libraries ignore it, each in its own way",
                     "set " + name + " to a whole number from 1, or unset it"});
    } else if (*asked > busy_threads(facts.budget) && !explains(asking, facts, above)) {
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
    // OpenBLAS caps it at the CPUs, and variable-above-budget says that it asks for too many.
    const bool capped = pool.layer != "openmp" && pool.threads < *asked;
    if (capped && *asked > whole_threads(facts.budget)) continue;
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

}  // namespace corewise::rules
