// Keeps the whole process inside its budget, from now on and for what is loaded later, and undoes
// it all.
//
// OpenMP regions and OpenBLAS calls pass through the gate; what has no gate (oneTBB, MKL, BLIS,
// Arrow, numba) is limited to the budget, never raised to it. OpenBLAS gets the arena. What could
// not be done is a finding: it is said, and the rest is done all the same.
#pragma once

#include <string>
#include <vector>

#include "../error.h"
#include "hook.h"

namespace corewise::govern {

// Who governs for as long as the process lives, whatever others undo: the agent of `corewise run`.
struct Resident {
  std::vector<SlotRequest> slots;  // hooked beside ours
  // What report_json() says but for the counts, whenever it changed: fields of an object. Called
  // under a lock.
  void (*told)(const std::string& fields) = nullptr;
};

struct GovernOptions {
  int budget = 0;           // 0: what the machine says, see own_budget.h; else at most that
  bool overcommit = false;  // `budget` as it is, whatever the machine says
  std::string key;          // names the ledger in place of own_budget's name
  const Resident* resident = nullptr;  // lives on

  // Whether these ask for nothing else than `first` did.
  bool repeats(const GovernOptions& first) const {
    return (budget == 0 || (budget == first.budget && overcommit == first.overcommit)) &&
           (key.empty() || key == first.key);
  }
};

// Counts: as many calls of ungovern undo it. The options of the first call hold; a later one may
// only repeat them or leave them out.
std::optional<Error> govern(const GovernOptions& options);

// Without a govern before it, does nothing.
void ungovern();

// Hooks what was loaded since; what the hook of dlsym does by itself.
void govern_new_modules();

// docs/json.md, "governor".
std::string report_json();

}  // namespace corewise::govern
