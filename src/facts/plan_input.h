// What a plan must know, read from this process: its pools, and the variables of all runtimes.
#pragma once

#include <vector>

#include "advice/plan.h"

namespace corewise {

// The pools found so far; synchronise() looks for more.
std::vector<PoolFacts> pools_for_a_plan();

// `pools`: all those of this process, by id.
void mark_governed(std::vector<PoolFacts>& pools);

// Names the variables of all libraries, runtimes first, in the order of their tables.
void name_variables(PlanInput& input);

}  // namespace corewise
