// The budget as the governor keeps it: a whole number of threads, and the name of the ledger in
// which all who share it meet.
//
// Local ranks of one MPI job that may run on the same CPUs meet in one ledger, with all that they
// have together: what one leaves the others may use, and each gets its own part whenever it wants
// it. Ranks with CPUs of their own have nothing to lend.
//
// Rounded down, never below 1: a team as wide as a rounded-up quota is stopped by the kernel in
// every period, and its barriers wait for whoever was stopped. A joblib worker's share does not
// count: its siblings meet it in the ledger, and what one of them leaves the others may use.
#pragma once

#include <string>

#include "budget/budget.h"

namespace corewise::govern {

struct OwnBudget {
  int threads = 1;   // this process's part
  int most = 1;      // with what others lend it; at least `threads`
  int together = 1;  // of all that meet in the ledger
  // Processes with equal names share the budget: same CPUs, same quotas, same job and, where ranks
  // do not lend, same rank of it, same cap.
  std::string name;

  bool lends() const { return together > threads; }
};

// `machine` is where `budget` was read; its variables tell the rank.
OwnBudget own_budget(const Budget& budget, const os::Machine& machine);

}  // namespace corewise::govern
