// Keeps the whole process inside its budget, from now on and for what is loaded later, and undoes
// it all.
//
// OpenMP regions, OpenBLAS calls and oneTBB's arenas pass through the gate, MKL in one of these;
// what has no gate (BLIS, Arrow, numba) is limited to the budget, never raised to it. OpenBLAS gets
// our buffers. What could not be done is a finding: it is said, and the rest is done all the same.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "govern/ledger/ledger.h"
#include "govern/patch/hook.h"
#include "limits/limit.h"
#include "pool_policy.h"

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

// `told` is called whenever what was loaded has been hooked, with locks held: for the death watch,
// which stands above.
void call_after_hooks(void (*told)());

// Counts: as many calls of ungovern undo it. The options of the first call hold; a later one may
// only repeat them or leave them out.
std::optional<Error> govern(const GovernOptions& options);

// Without a govern before it, does nothing.
void ungovern();

// The most threads that pools get from now on, governed or not, whatever the program sets; pools
// loaded later are capped on arrival. Takes the place of the caps before; none ends them. Those
// with a gate get fewer at their next call or region that bends, and keep the program's own number;
// to other regions a cap does what thread_caps.h says. Others of process scope are set, never
// raised. CW_BAD_COUNT or CW_UNKNOWN_NAME for a rule that makes no sense; then nothing was
// changed.
Result<std::vector<Capped>> cap(std::vector<Rule> rules);

// What cap() would do.
Result<std::vector<Capped>> try_cap(std::vector<Rule> rules);

std::vector<Capped> caps();

bool is_governed();

// Numbers of the pools that have a gate, while governed.
std::vector<std::uint32_t> governed_pools();

// The budget's ledger as it is now, the budget looked at first; none where nobody ever governed
// here.
std::optional<LedgerSnapshot> ledger_now();

// Hooks what was loaded since; what the hook of dlsym does by itself.
void govern_new_modules();

// docs/json.md, "governor". Looks at the budget first.
std::string report_json();

}  // namespace corewise::govern
