#include "plan_input.h"

#include "govern/govern.h"
#include "pools/discover.h"

namespace corewise {

std::vector<PoolFacts> pools_for_a_plan() {
  std::vector<PoolFacts> pools;
  for (std::size_t id = 0; id < pool_count(); ++id) {
    const Pool& pool = pool_at(id);
    pools.push_back(facts_of(pool, pool.threads().value_or(0)));
  }
  mark_governed(pools);
  return pools;
}

void mark_governed(std::vector<PoolFacts>& pools) {
  for (const std::uint32_t governed : govern::governed_pools()) {
    if (governed < pools.size()) pools[governed].governed = true;
  }
}

void name_variables(PlanInput& input) {
  for (const Runtime* runtime : runtimes()) {
    input.environment.insert(input.environment.end(), runtime->environment.begin(),
                             runtime->environment.end());
  }
  input.presets = preset_counts::all();
}

}  // namespace corewise
