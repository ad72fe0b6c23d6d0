#include "missing_pools.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <vector>

#include "shell/output.h"

namespace corewise::cli {

std::string missing_pools(const control::LimitAnswer& answer) {
  if (answer.not_loaded.empty()) return {};
  std::vector<std::string> names;
  for (const std::string& name : answer.not_loaded) names.push_back(printable(name, false));
  std::string then;
  if (!answer.forced) {
    then = answer.dry_run ? " now; the limit would apply when one loads"
                          : " now; the limit applies when one loads";
  } else if (answer.outcomes.empty()) {
    then = ": nothing was changed";
  }
  return fmt::format("{}: no such pool is loaded{}.", fmt::join(names, ", "), then);
}

}  // namespace corewise::cli
