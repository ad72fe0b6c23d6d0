// What the budget is made of; budget.h says what it means.
#pragma once

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "base/cpuset.h"
#include "os/machine.h"

namespace corewise {

// What sets a constraint.
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
  kCondor,      // HTCondor
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
  std::string detail;    // what the file or variable says, in words
  int ranks = 1;         // local ranks that have `ranks * cpus` together
  bool binding = false;  // without it the budget might be larger
};

// The allowed CPUs, counted by kind. 0: the machine does not tell.
struct Topology {
  int cpus = 0;
  int cores = 0;             // physical cores with at least one allowed CPU
  int threads_per_core = 0;  // the most allowed CPUs that share a core
  int packages = 0;
  int numa_nodes = 0;
  int performance_cpus = 0;  // both 0 when all CPUs are of one kind
  int efficiency_cpus = 0;
};

// A file the budget depends on, as it was; budget_changed() compares.
struct Watched {
  std::string path;
  std::string line;  // when not empty, only the line that starts with this counts
  os::FileText seen;
};

// How many threads never wait for one another on this many CPUs, at least 1. Allows for the
// rounding of binary division.
inline int whole_threads(double cpus) {
  return std::max(1, static_cast<int>(std::floor(cpus + 1e-9)));
}

// How many threads such a budget can keep busy. Allows for the same rounding.
inline int busy_threads(double cpus) {
  return std::max(1, static_cast<int>(std::ceil(cpus - 1e-9)));
}

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

}  // namespace corewise
