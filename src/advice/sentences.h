// Facts in the words of findings.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/text.h"
#include "budget/budget_types.h"
#include "facts.h"

namespace corewise::rules {

using Pools = std::vector<const PoolFacts*>;

std::string n(int number);
std::string plural(int count, const char* noun);  // "1 thread", "1,015 threads"
std::string in_cpus(double count);                // "1 CPU", "1.5 CPUs"

// The file name without its folder: enough to tell copies apart in a sentence.
std::string file(const PoolFacts& pool);
// A variable of the environment; null if it is unset or empty.
const std::string* variable(const ProcessFacts& facts, const char* name);
// The count that a variable asks for: the first of a list.
std::optional<int> number(const ProcessFacts& facts, const char* name);
// The threads that the largest OpenMP pool would run.
int openmp_threads(const ProcessFacts& facts);
std::vector<std::string> paths(const Pools& pools);

// finding.h's copy_name(): "numpy's copy".
std::string copy(const PoolFacts& pool);
// "numpy's OpenBLAS", "libgomp (scikit_learn)".
std::string name(const PoolFacts& pool);
// "numpy's OpenBLAS and scipy's OpenBLAS run 2 threads each".
std::string each_runs(const Pools& pools);
// True if the count read from outside is what the last call was granted, not what the program set.
bool is_grant(const ProcessFacts& facts, const PoolFacts& pool);

bool has_runtime(const ProcessFacts& facts, std::string_view name);

template <class Name>
std::string names(const Pools& pools, Name name_of) {
  std::vector<std::string> all;
  all.reserve(pools.size());
  for (const PoolFacts* pool : pools) all.push_back(name_of(*pool));
  return listed(all);
}

}  // namespace corewise::rules
