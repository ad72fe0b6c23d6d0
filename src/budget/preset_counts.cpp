#include "preset_counts.h"

#include <array>
#include <string_view>

#include "base/text.h"

namespace corewise::preset_counts {
namespace {

// Three are not for us to preset. NumExpr refuses a number above NUMEXPR_MAX_THREADS, also from the
// program. joblib gives its workers their share in NUMEXPR_NUM_THREADS, unless it is set. Blosc
// prefers BLOSC_NTHREADS to what the program asks for.
constexpr std::array<Preset, 11> kVariables = {{
    {.kind = "cpus", .name = "LOKY_MAX_CPU_COUNT", .cpus = true},
    {.kind = "cpus", .name = "PYTEST_XDIST_AUTO_NUM_WORKERS", .cpus = true},
    {.kind = "cpus", .name = "PYTHON_CPU_COUNT", .cpus = true},
    {.kind = "numexpr", .name = "NUMEXPR_MAX_THREADS", .preset = false},
    {.kind = "numexpr", .name = "NUMEXPR_NUM_THREADS", .preset = false},
    {.kind = "rayon", .name = "RAYON_NUM_THREADS", .unless = "RAYON_RS_NUM_CPUS"},
    {.kind = "polars", .name = "POLARS_MAX_THREADS"},
    {.kind = "opencv", .name = "OPENCV_FOR_THREADS_NUM"},
    {.kind = "tensorflow", .name = "TF_NUM_INTEROP_THREADS"},
    {.kind = "tensorflow", .name = "TF_NUM_INTRAOP_THREADS"},
    {.kind = "blosc", .name = "BLOSC_NTHREADS", .preset = false},
}};

bool is_users(const char* name, const os::Machine& machine) {
  return name != nullptr && machine.variable(name) && !is_ours(name, machine);
}

}  // namespace

std::span<const Preset> all() { return kVariables; }

bool is_ours(const char* name, const os::Machine& machine) {
  const auto value = machine.variable(name);
  const auto marker = machine.variable(kMarker);
  if (!value || !marker) return false;
  const std::string entry = std::string(name) + "=" + *value;
  for (std::string_view rest = *marker; !rest.empty();) {
    if (cut(rest, ' ') == entry) return true;
  }
  return false;
}

std::vector<const Preset*> for_budget(int budget, int cpus, const os::Machine& machine) {
  std::vector<const Preset*> found;
  if (budget >= cpus) return found;
  for (const Preset& variable : kVariables) {
    const bool given = is_users(variable.name, machine) || is_users(variable.unless, machine);
    if (variable.preset && !given) found.push_back(&variable);
  }
  return found;
}

}  // namespace corewise::preset_counts
