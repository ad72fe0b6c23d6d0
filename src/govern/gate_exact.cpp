#include "gate_exact.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <string_view>

#include "../os/os.h"
#include "../os/patch.h"

namespace corewise::govern {
namespace {

// In their paths. Seen with scikit-learn 1.9 (wrong neighbours), torch 2.13 (a convolution's
// gradient that never ended) and MKL 2026.2 (a wrong LU decomposition).
constexpr std::array<std::string_view, 4> kKnown = {
    "/sklearn/metrics/_pairwise_distances_reduction/", "/libtorch_cpu.", "/libdnnl.", "/libmkl_"};

bool holds(std::string_view path, std::string_view name) {
  return !name.empty() && path.find(name) != path.npos;
}

bool holds_one_of(std::string_view path, std::string_view names) {
  while (!names.empty()) {
    const std::string_view name = names.substr(0, names.find(':'));
    if (holds(path, name)) return true;
    names.remove_prefix(std::min(names.size(), name.size() + 1));
  }
  return false;
}

}  // namespace

std::string find_exact_clauses() {
  std::string finding;
  static auto& seen = *new os::KnownModules;  // never destroyed: others may come while we exit
  const char* const named = std::getenv("COREWISE_EXACT_TEAMS");  // NOLINT(concurrency-mt-unsafe)
  const std::string_view users = named != nullptr ? named : "";
  os::visit_new_modules(seen, [&](const os::LoadedModule& module) {
    const bool known = std::ranges::any_of(
        kKnown, [&](std::string_view name) { return holds(module.path, name); });
    if ((known || holds_one_of(module.path, users)) && !exact_clauses.add(module)) {
      finding = module.path + ": its teams may be cut short: too many libraries need theirs whole";
    }
  });
  return finding;
}

}  // namespace corewise::govern
