#include "plan_input.h"

#include <algorithm>

#include "base/text.h"
#include "govern/govern.h"
#include "pools/discover.h"

namespace corewise {

std::vector<PlannedPool> known_planned_pools() {
  std::vector<PlannedPool> pools;
  const auto governed = govern::governed_pools();
  for (std::size_t id = 0; id < pool_count(); ++id) {
    const Pool& pool = pool_at(id);
    // A pool that can neither be set nor has a width of its own (numba's workqueue) takes no part.
    if (pool.scope == CW_SCOPE_NONE && pool.ceiling == 0) continue;
    PlannedPool& known = pools.emplace_back();
    known.name = file_name(pool.path);
    known.runtime = pool.runtime->name;
    known.api = pool.runtime->api;
    known.ceiling = pool.ceiling;
    known.path = pool.path;
    // A governed pool has slots for all callers.
    if (pool.caller_slots == 0 || std::ranges::find(governed, id) != governed.end()) continue;
    known.caller_slots = pool.caller_slots;
    known.workers = std::max(0, pool.threads().value_or(1) - 1);
  }
  return pools;
}

void name_variables(PlanInput& input) {
  for (const Runtime* runtime : runtimes()) {
    input.environment.insert(input.environment.end(), runtime->environment.begin(),
                             runtime->environment.end());
  }
  input.presets = preset_counts::all();
}

}  // namespace corewise
