// What an answer to `limit` says about names that no pool has, in words.
#pragma once

#include <string>

#include "control/answer_records.h"

namespace corewise::cli {

// A sentence; "" if each name has a pool.
std::string missing_pools(const control::LimitAnswer& answer);

}  // namespace corewise::cli
