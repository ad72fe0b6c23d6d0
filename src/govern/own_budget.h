// The budget as the governor keeps it: a whole number of threads, and the name of the ledger in
// which all who share it meet.
//
// Rounded down, never below 1: a team as wide as a rounded-up quota is stopped by the kernel in
// every period, and its barriers wait for whoever was stopped. A joblib worker's share does not
// count: its siblings meet it in the ledger, and what one of them leaves the others may use.
#pragma once

#include <string>

#include "budget/budget.h"

namespace corewise::govern {

struct OwnBudget {
  int threads = 1;
  // Processes with equal names share the budget: same CPUs, same quotas, same rank of the same job,
  // same cap.
  std::string name;
};

// `machine` is where `budget` was read; its variables tell the rank.
OwnBudget own_budget(const Budget& budget, const os::Machine& machine);

}  // namespace corewise::govern
