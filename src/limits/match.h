// Which rule of a limit applies to a pool.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/error.h"
#include "pools/pool.h"
#include "rule.h"

namespace corewise {

using PoolList = std::span<const Pool* const>;

// The pools discovered in this process.
std::vector<const Pool*> discovered_pools();

// Checks each rule's count and name; turns CW_MATCH_NAME into what the name means among these
// pools: an API, a runtime, a file-name prefix, a Python package, a file's name or its path. Where
// a package brought several files, rules for the others follow after all that were asked. An Error
// names the offending rule and what would be right.
std::optional<Error> resolve_names(std::vector<Rule>& rules, PoolList pools);

bool speaks_for(const Rule& rule, const Pool& pool);

// The names of the rules that match none of these pools, as they were asked.
std::vector<std::string> names_without_pool(const std::vector<Rule>& asked,
                                            const std::vector<Rule>& resolved, PoolList pools);

// The count that the most specific matching rule gives the pool (file before prefix before
// runtime before API before all; the tightest of equals); 0 if none matches.
int wanted_by(const std::vector<Rule>& rules, const Pool& pool);

}  // namespace corewise
