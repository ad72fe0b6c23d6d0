// Counts the allowed CPUs by core, package, NUMA node and kind, from /sys. See docs/budget.md.
//
// Everything here informs, nothing bounds: a machine without these files has a budget too.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <set>
#include <string>

#include "base/text.h"
#include "survey.h"

namespace corewise {
namespace {

constexpr const char* kCpus = "/sys/devices/system/cpu";
constexpr const char* kNodes = "/sys/devices/system/node";

std::string folder(const char* kind, std::size_t number) {
  const std::string parent = std::string(kind) == "cpu" ? kCpus : kNodes;
  return parent + "/" + kind + std::to_string(number);
}

// The CPUs that share a core with `cpu`, itself included; empty if /sys does not tell. Kernels
// before 5.0 have only the second name, later ones both.
CpuSet siblings(Survey& survey, std::size_t cpu) {
  for (const char* name : {"/topology/core_cpus_list", "/topology/thread_siblings_list"}) {
    const std::string path = folder("cpu", cpu) + name;
    const auto set = survey.cpulist(path);
    if (!set || set->empty()) continue;
    if (set->has(cpu)) return *set;
    survey.finding(path + " holds " + quote(set->to_list()) + " without CPU " +
                   std::to_string(cpu) + " itself; that CPU counts as a core of its own.");
    CpuSet alone;
    alone.add(cpu);
    return alone;
  }
  return {};
}

void count_cores(Survey& survey, Topology& topology, const CpuSet& allowed) {
  std::set<std::int64_t> packages;
  CpuSet seen;
  for (std::size_t cpu = allowed.next(0); cpu < CpuSet::kCapacity; cpu = allowed.next(cpu + 1)) {
    if (seen.has(cpu)) continue;
    CpuSet core = siblings(survey, cpu);
    if (core.empty()) continue;
    core &= allowed;
    seen |= core;
    topology.cores += 1;
    topology.threads_per_core = std::max(topology.threads_per_core, core.count());
    const std::string path = folder("cpu", cpu) + "/topology/physical_package_id";
    if (const auto text = survey.file(path)) {
      const auto package = parse_integer(trim(*text));
      if (package) {
        packages.insert(*package);
      } else {
        survey.misread(path, *text, "a package's number");
      }
    }
  }
  topology.packages = static_cast<int>(packages.size());
}

void count_nodes(Survey& survey, Topology& topology, const CpuSet& allowed) {
  const auto nodes = survey.cpulist(std::string(kNodes) + "/online");
  if (!nodes || nodes->empty()) {
    // A kernel without NUMA support has one node and does not list it.
    topology.numa_nodes = topology.cores > 0 ? 1 : 0;
    return;
  }
  for (std::size_t node = nodes->next(0); node < CpuSet::kCapacity; node = nodes->next(node + 1)) {
    const auto cpus = survey.cpulist(folder("node", node) + "/cpulist");
    if (cpus && !(*cpus & allowed).empty()) topology.numa_nodes += 1;
  }
}

void set_kinds(Topology& topology, int performance, int efficiency) {
  if (performance == 0 || efficiency == 0) return;
  topology.performance_cpus = performance;
  topology.efficiency_cpus = efficiency;
}

// Intel's hybrid parts list their kinds of CPU as kinds of performance counters.
bool count_intel_kinds(Survey& survey, Topology& topology, const CpuSet& allowed) {
  const auto performance = survey.cpulist("/sys/devices/cpu_core/cpus");
  auto efficiency = survey.cpulist("/sys/devices/cpu_atom/cpus");
  if (!performance || !efficiency) return false;
  if (const auto low_power = survey.cpulist("/sys/devices/cpu_lowpower/cpus")) {
    *efficiency |= *low_power;
  }
  set_kinds(topology, (*performance & allowed).count(), (*efficiency & allowed).count());
  return true;
}

// Arm kernels say how much each CPU can do, 1024 for the largest of the machine.
void count_arm_kinds(Survey& survey, Topology& topology, const CpuSet& allowed) {
  int large = 0;
  int small = 0;
  for (std::size_t cpu = allowed.next(0); cpu < CpuSet::kCapacity; cpu = allowed.next(cpu + 1)) {
    const std::string path = folder("cpu", cpu) + "/cpu_capacity";
    const auto text = survey.file(path);
    if (!text) return;
    const auto capacity = parse_integer(trim(*text));
    if (!capacity || *capacity <= 0) {
      survey.misread(path, *text, "a CPU's capacity");
      return;
    }
    // Middle cores reach 70 % and more, little ones half at most.
    ++(*capacity >= 1024 * 2 / 3 ? large : small);
  }
  set_kinds(topology, large, small);
}

void mention_isolated(Survey& survey, const CpuSet& allowed) {
  const auto isolated = survey.cpulist(std::string(kCpus) + "/isolated");
  if (!isolated) return;
  const CpuSet ours = *isolated & allowed;
  if (ours.empty() || allowed.count() == 1) return;
  survey.finding("CPUs " + ours.to_list() + " are isolated (" + kCpus +
                 "/isolated): the scheduler " +
                 "does not spread threads over them. Bind threads to them one by one, or take " +
                 "them out of the mask.");
}

}  // namespace

void survey_topology(Survey& survey) {
  const CpuSet& allowed = survey.budget().allowed;
  Topology& topology = survey.budget().topology;
  topology.cpus = allowed.count();
  count_cores(survey, topology, allowed);
  count_nodes(survey, topology, allowed);
  if (!count_intel_kinds(survey, topology, allowed)) count_arm_kinds(survey, topology, allowed);
  mention_isolated(survey, allowed);
  if (topology.cores == 0) {
    survey.finding(std::string(kCpus) + " does not tell which CPUs share a core; the number of " +
                   "physical cores is unknown.");
  }
}

}  // namespace corewise
