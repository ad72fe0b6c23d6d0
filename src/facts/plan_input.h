// What a plan must know, read from this process: its pools, and the variables of all runtimes.
#pragma once

#include <vector>

#include "advice/plan.h"

namespace corewise {

// The pools found so far; synchronise() looks for more.
std::vector<PlannedPool> known_planned_pools();

// Every variable that a runtime reads when it loads, in the order of the runtimes' table.
std::vector<EnvVariable> runtime_variables();

}  // namespace corewise
