#include "plan_input.h"

#include "discover.h"
#include "text.h"

namespace corewise {

std::vector<PlanPool> known_plan_pools() {
  std::vector<PlanPool> pools;
  for (std::size_t id = 0; id < pool_count(); ++id) {
    const Pool& pool = pool_at(id);
    // What can neither be set nor has a width of its own (numba's workqueue) takes no part.
    if (pool.scope == CW_SCOPE_NONE && pool.ceiling == 0) continue;
    pools.push_back({std::string(file_name(pool.path)), pool.runtime->name, pool.runtime->api,
                     pool.ceiling, pool.caller_slots, pool.path});
  }
  return pools;
}

std::vector<EnvVariable> runtime_variables() {
  std::vector<EnvVariable> variables;
  for (const Runtime* runtime : runtimes()) {
    variables.insert(variables.end(), runtime->environment.begin(), runtime->environment.end());
  }
  return variables;
}

}  // namespace corewise
