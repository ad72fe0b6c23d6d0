// The budget: the CPUs that are really ours, and for each constraint where it was read.
//
//   budget = min(CPUs the main thread may use, quota of every ancestor cgroup,
//                what a scheduler granted, what the user allows)
//
// It is a fraction, since quotas are. floor (never below 1) is how many threads never wait for one
// another; ceil is how many can use all of it. docs/budget.md has every source and formula.
//
// Nothing read here can fail the computation: what is missing is not a constraint, and what cannot
// be understood is left out and said in a finding. Only the caller's own cap can be an error.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/cpuset.h"
#include "base/error.h"
#include "os/machine.h"

namespace corewise {

// Who constrains.
enum class Source {
  kMachine,   // the CPUs that are online
  kAffinity,  // the main thread's mask
  kCpuset,    // the cgroup's CPUs
  kQuota,     // CPU time per period of a cgroup
  kSlurm,
  kMpi,  // the node shared by local ranks
  kLsf,
  kPbs,
  kSge,         // Grid Engine
  kKubernetes,  // a downward-API variable
  kLoky,        // LOKY_MAX_CPU_COUNT
  kJoblib,      // a joblib worker's share
  kUser,        // COREWISE_BUDGET, or an argument
};

const char* source_name(Source source);

struct Constraint {
  Source source = Source::kMachine;
  std::string where;  // the file or variable; "argument"
  double cpus = 0;
  std::string detail;    // what stands there, in words
  bool binding = false;  // without it the budget might be larger
};

// The allowed CPUs by kind. 0: the machine does not tell.
struct Topology {
  int cpus = 0;
  int cores = 0;             // physical cores with at least one allowed CPU
  int threads_per_core = 0;  // the most allowed CPUs that share a core
  int packages = 0;
  int numa_nodes = 0;
  int performance_cpus = 0;  // both 0 when all CPUs are of one kind
  int efficiency_cpus = 0;
};

// A file the budget depends on, as it was; changed() compares.
struct Watched {
  std::string path;
  std::string line;  // when not empty, only the line that starts with this counts
  os::FileText seen;
};

struct Budget {
  double cpus = 1;
  int floor = 1;
  int ceil = 1;
  CpuSet allowed;
  Topology topology;
  std::vector<Constraint> constraints;
  std::vector<std::string> findings;
  std::vector<Watched> watched;
};

// Reads the machine. `cap` is the caller's own upper bound: an error when it is not a number, not
// above 0, or above the machine.
Result<Budget> compute_budget(const os::Machine& machine, std::optional<double> cap = std::nullopt);

// Whether a mask, cgroup or quota is no longer as the budget saw it. Compares contents: files in
// /proc and in cgroups keep no times of modification. Variables are not looked at, so that it may
// run in any thread; recomputing reads them again.
bool budget_changed(const Budget& budget, const os::Machine& machine);

// Recomputes if something changed, and says whether it did.
Result<bool> refresh_budget(Budget& budget, const os::Machine& machine,
                            std::optional<double> cap = std::nullopt);

// A cap as users write it, "8", "1.5", "500m"; an error in words otherwise.
Result<double> parse_cap(std::string_view text);

std::string budget_json(const Budget& budget);

}  // namespace corewise
