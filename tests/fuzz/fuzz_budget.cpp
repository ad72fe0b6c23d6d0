// Fuzz target: a machine whose files and variables are the input, cut at each NUL byte, in the
// order below. Whatever they hold, the budget is sane, unchanged at a second look, and JSON.
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "../unit/map_machine.h"
#include "base/text.h"
#include "budget/budget.h"

using namespace corewise;

namespace {

constexpr std::array kFiles = {
    "/sys/devices/system/cpu/online",
    "/proc/self/status",
    "/proc/self/cgroup",
    "/proc/self/mountinfo",
    "/sys/fs/cgroup/cpu.max",
    "/sys/fs/cgroup/cpuset.cpus.effective",
    "/sys/fs/cgroup/cpu/cpu.cfs_quota_us",
    "/sys/fs/cgroup/cpu/cpu.cfs_period_us",
    "/sys/devices/system/cpu/cpu0/topology/thread_siblings_list",
    "/sys/devices/system/cpu/cpu0/topology/physical_package_id",
    "/sys/devices/system/node/online",
    "/sys/devices/cpu_core/cpus",
    "/sys/devices/cpu_atom/cpus",
    "/proc/stat",
};
constexpr std::array kVariables = {
    "SLURM_CPUS_ON_NODE", "SLURM_TASKS_PER_NODE",       "SLURM_NODEID", "LSB_MCPU_HOSTS",
    "COREWISE_CPU_LIMIT", "OMPI_COMM_WORLD_LOCAL_SIZE", "NCPUS",        "COREWISE_BUDGET",
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view rest(reinterpret_cast<const char*>(data), size);
  test::MapMachine machine;
  for (const char* path : kFiles) machine.files[path] = std::string(cut(rest, '\0'));
  for (const char* name : kVariables) machine.variables[name] = std::string(cut(rest, '\0'));
  const auto budget = compute_budget(machine);
  if (!budget || !std::isfinite(budget->cpus) || budget->cpus <= 0) std::abort();
  if (budget->floor < 1 || budget->ceil < budget->floor) std::abort();
  if (budget->allowed.empty() || budget_changed(*budget, machine)) std::abort();
  if (budget_json(*budget).empty()) std::abort();
  return 0;
}
