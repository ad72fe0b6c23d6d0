// Which rule of a limit speaks for a pool.
#pragma once

#include <optional>
#include <vector>

#include "error.h"
#include "limit.h"

namespace corewise {

// Checks each rule's count and name; turns CW_MATCH_NAME into what the name means. An Error names
// the offending rule and what would be right.
std::optional<Error> settle_names(std::vector<Rule>& rules);

// The count that the most specific matching rule gives the pool (file before prefix before
// runtime before API before all; the tightest of equals); 0 if none matches.
int wanted_by(const std::vector<Rule>& rules, const Pool& pool);

}  // namespace corewise
