// The budget as the governor keeps it: a whole number of threads, and the name of the ledger that
// all processes with this budget share.
//
// Local ranks of one MPI job that may run on the same CPUs share one ledger, with all that they
// have together: a rank may use what the others leave free, and gets its own part whenever it wants
// it. Ranks with CPUs of their own have nothing to lend.
//
// Rounded down, never below 1: the kernel throttles a team as wide as a rounded-up quota in every
// period, and its barriers wait for the throttled threads. A joblib worker's share does not count:
// its siblings are in the same ledger, and each may use what the others leave free.
#pragma once

#include <string>

#include "budget/budget.h"

namespace corewise::govern {

struct OwnBudget {
  int threads = 1;   // this process's part
  int most = 1;      // including what others lend it; at least `threads`
  int together = 1;  // of all processes in the ledger
  int hard = 1;      // the most that it may have if its user's own cap is changed
  // Processes with equal names share the budget: same CPUs, same job, same cap and, where ranks do
  // not lend, same quotas and same rank of the job.
  std::string name;

  bool lends() const { return together > threads; }
};

// `budget` was read from `machine`, whose variables tell the rank.
OwnBudget own_budget(const Budget& budget, const os::Machine& machine);

}  // namespace corewise::govern
