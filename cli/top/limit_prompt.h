// The limit that is typed in `corewise top`: "blas=2 openmp=4", or as options of `corewise limit`.
#pragma once

#include <string>
#include <string_view>

#include "base/error.h"
#include "base/json_reader.h"

namespace corewise::cli {

// As a request to the process; names that are no API are pools. Else what is wrong with the text.
Result<std::string> limit_request(std::string_view typed);

// What the process said of it that a person must hear; "" if all pools took the limit.
std::string outcome_of_limit(const JsonValue& answer, const std::string& typed);

}  // namespace corewise::cli
