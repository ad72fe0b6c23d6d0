#include "start_bound.h"

#include <algorithm>
#include <cstdlib>
#include <limits>
#include <string_view>

namespace corewise::govern::start_bound {
namespace {

// Reads numbers as OpenBLAS does: "4,2" is 4; 0 and below count as unset.
int number(const char* name, const os::Machine& machine) {
  const auto text = machine.variable(name);
  if (!text) return 0;
  constexpr long kMost = std::numeric_limits<int>::max();
  return static_cast<int>(std::clamp(std::strtol(text->c_str(), nullptr, 10), 0L, kMost));
}

bool ours(const os::Machine& machine) { return os::is_set_by_run(machine, kName, kMarker); }

bool asked_of_openblas(const os::Machine& machine) {
  return number("OPENBLAS_NUM_THREADS", machine) > 0 ||
         number("OPENBLAS_DEFAULT_NUM_THREADS", machine) > 0 ||
         (number(kName, machine) > 0 && !ours(machine));
}

}  // namespace

std::optional<std::string> value_for(int budget, int cpus, const os::Machine& machine) {
  if (budget >= cpus || asked_of_openblas(machine)) return std::nullopt;
  if (number("OMP_NUM_THREADS", machine) > 0) return std::nullopt;
  return std::to_string(budget);
}

bool awaits_default(const os::Machine& machine) {
  if (machine.variable("OMP_NUM_THREADS")) return false;
  constexpr std::string_view kRay = "/ray/_private/workers/default_worker.py";
  return machine.read("/proc/self/cmdline").text.find(kRay) != std::string::npos;
}

std::optional<int> asked_beside(int cpus, int instead, const os::Machine& machine) {
  if (asked_of_openblas(machine)) return std::nullopt;
  const int openmp = std::min(number("OMP_NUM_THREADS", machine), cpus);
  if (openmp == 0) return std::nullopt;
  const int without = ours(machine) ? number(kName, machine) : cpus;
  // OpenBLAS has read OMP_NUM_THREADS unless ours stands before it.
  const int has = ours(machine) ? without : openmp;
  const int should = instead != 0 ? std::min(instead, without) : openmp;
  return has != should ? std::optional(should) : std::nullopt;
}

}  // namespace corewise::govern::start_bound
