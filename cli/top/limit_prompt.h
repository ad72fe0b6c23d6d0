// The limit that is typed in `corewise top`: "blas=2 openmp=4", or as options of `corewise limit`.
#pragma once

#include <string>
#include <string_view>

#include "base/error.h"
#include "control/answer_records.h"
#include "control/request.h"

namespace corewise::cli {

// The text as a request to the process, or what is wrong with it. Names of no API are pools.
Result<control::Request> limit_request(std::string_view typed);

// What the user must know of the process's answer; "" if all pools took the limit.
std::string outcome_of_limit(const control::LimitAnswer& answer);

}  // namespace corewise::cli
