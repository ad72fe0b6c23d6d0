// The child of `corewise info --import`: a Python that imports modules and tells its pools.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "error.h"
#include "pool_table.h"

namespace corewise::cli {

struct FailedImport {
  std::string module;
  std::string reason;
};

struct Imported {
  std::vector<PoolRow> rows;
  std::string pools_json;  // empty when the child did not come that far
  std::vector<FailedImport> failed;
  std::string importing;  // the module it was at last
  std::string broke;      // why it could not tell its pools; empty if it could
};

// `tick` is called with the module at work when the child has been silent for a while.
Result<Imported> import_in_child(const std::string& python, const std::string& library,
                                 const std::vector<std::string>& modules,
                                 const std::function<void(const std::string&)>& tick);

}  // namespace corewise::cli
