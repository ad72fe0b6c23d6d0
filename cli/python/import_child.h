// The child of `--import`: a Python that imports modules and reports its pools or findings.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/error.h"
#include "records.h"

namespace corewise::cli {

enum class ImportTask { kPools, kFindings };

// Calls `tick` with the module being imported when the child has been silent for a while.
Result<Imported> import_in_child(const std::string& python, const std::string& library,
                                 ImportTask task, const std::vector<std::string>& modules,
                                 const std::function<void(const std::string&)>& tick);

}  // namespace corewise::cli
