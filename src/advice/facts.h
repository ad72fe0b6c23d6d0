// The doctor's input about a process.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "pools/pool_facts.h"

namespace corewise {

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
  double budget = 1;          // the CPUs that the process may use
  std::string budget_reason;  // what binds it: "cgroup quota", "affinity"
  std::map<std::string, std::string> environment;
  std::string best_architecture;  // the best kernels this CPU can run (core_types.h); "" if unknown
  bool corewise_limits_open = false;
  bool from_outside = false;  // seen from another process, which may not see all
  bool answers = false;       // of one seen from outside: it told which limits of corewise hold
  int pid = 0;                // of one seen from outside that runs
  bool forked_after_openmp = false;
  std::vector<std::string> sets_dynamic;  // files that call omp_set_dynamic
  std::vector<HeldLedger> ledgers;
};

}  // namespace corewise
