#include "start_bound.h"

#include <algorithm>
#include <cstdlib>
#include <limits>

namespace corewise::govern::start_bound {
namespace {

// Reads numbers as OpenBLAS does: "4,2" is 4; 0 and below count as unset.
int number(const char* name, const os::Machine& machine) {
  const auto text = machine.variable(name);
  if (!text) return 0;
  constexpr long kMost = std::numeric_limits<int>::max();
  return static_cast<int>(std::clamp(std::strtol(text->c_str(), nullptr, 10), 0L, kMost));
}

bool ours(const os::Machine& machine) {
  const auto value = machine.variable(kName);
  return value && value == machine.variable(kMarker);
}

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

std::optional<int> asked_beside(int cpus, const os::Machine& machine) {
  if (!ours(machine) || asked_of_openblas(machine)) return std::nullopt;
  const int openmp = std::min(number("OMP_NUM_THREADS", machine), cpus);
  if (openmp == 0 || openmp == number(kName, machine)) return std::nullopt;
  return openmp;
}

}  // namespace corewise::govern::start_bound
