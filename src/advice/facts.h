// The doctor's input about a process.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "pools/pool.h"

namespace corewise {

// What is known of a pool; its source may not tell everything.
struct PoolFacts {
  Api api = CW_API_BLAS;
  std::string runtime;
  std::string prefix;
  std::string path;
  std::string version;
  std::string layer;
  std::string architecture;
  int threads = 0;  // 0: unknown
  int ceiling = 0;
  int caller_slots = 0;  // 0: unbounded or unknown
  bool mkl_dynamic = false;
  bool governed = false;  // we grant its regions and calls; OpenBLAS uses our buffers
  bool dynamic = false;   // OpenMP may make the teams of the calling thread smaller (dyn-var)
  int spinning = 0;  // workers that ran though nobody was in a region or call; 0 also if not known
};

enum class HolderState { kRuns, kStopped, kFrozen, kGone };

// A process in a ledger (govern/ledger/ledger_holders.h).
struct Holder {
  int pid = 0;
  int tokens = 0;
  HolderState state = HolderState::kRuns;
  std::string program;
  std::optional<double> idle_s;  // since one of its threads was last on a CPU; none: not known
};

// One ledger, and the processes that hold its threads now.
struct HeldLedger {
  std::string path;
  int budget = 0;
  std::vector<int> members;  // processes that have a place in it
  std::vector<Holder> holders;
};

// Everything the rules read.
struct ProcessFacts {
  std::vector<PoolFacts> pools;
  double budget = 1;          // the CPUs that are really the process's own
  std::string budget_reason;  // what binds it: "cgroup quota", "affinity"
  std::map<std::string, std::string> environment;
  std::string best_architecture;  // the best kernels this CPU can run (kernels.h); "" if unknown
  bool corewise_limits_open = false;
  bool from_outside = false;  // we cannot tell limits that are open inside from leaked ones
  bool forked_after_openmp = false;
  std::vector<std::string> sets_dynamic;  // files that call omp_set_dynamic
  std::vector<HeldLedger> ledgers;
};

}  // namespace corewise
