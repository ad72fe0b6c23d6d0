// Keeps the whole process inside its budget, from now on and for libraries loaded later, and can
// undo all of it.
//
// OpenMP regions, OpenBLAS calls and oneTBB arenas pass through the gate; MKL runs in one of these.
// Pools without a gate (BLIS, MKL, Arrow) are limited to the budget, never raised to it; numba's
// own is left alone. OpenBLAS gets our buffers. A step that fails becomes a finding, and the other
// steps are done all the same.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "govern/ledger/ledger.h"
#include "govern/patch/hook.h"
#include "limits/limit.h"
#include "pool_policy.h"

namespace corewise::govern {

// What COREWISE_SHARE, `corewise run --share` and corewise.toml may say.
inline constexpr std::string_view kShareMachine = "machine";  // with other users who say so too
inline constexpr std::string_view kShareUser = "user";        // among this user's programs alone
constexpr bool is_share(std::string_view text) {
  return text == kShareMachine || text == kShareUser;
}

// Governs as long as the process lives, whatever others undo: the agent of `corewise run`.
struct Resident {
  std::vector<GotRequest> requests;  // hooked along with ours
  // Gets what report_json() says, without the counts, whenever that changes: the fields of a JSON
  // object. Called with our lock held: it must take no other.
  void (*told)(const std::string& fields) = nullptr;
  // Called after told(), once our lock is released: for what takes a lock that a fork takes before
  // ours. False if that lock was held and it may not wait: then it is called again.
  bool (*after_told)(bool may_wait) noexcept = nullptr;
};

struct GovernOptions {
  int budget = 0;                      // 0: the machine's (own_budget.h); else an upper bound
  bool overcommit = false;             // take `budget` as given, whatever the machine says
  std::string key;                     // names the ledger in place of own_budget's name
  const Resident* resident = nullptr;  // must live for good

  // Whether these options ask for nothing that `first` did not.
  bool repeats(const GovernOptions& first) const {
    return (budget == 0 || (budget == first.budget && overcommit == first.overcommit)) &&
           (key.empty() || key == first.key);
  }
};

// Calls are counted: it takes as many calls of ungovern() to undo them. The options of the first
// call hold; a later call may only repeat them or leave them out.
std::optional<Error> govern(const GovernOptions& options);

// Does nothing without a govern() before it.
void ungovern();

// Caps pools from now on, governed or not, whatever the program sets; pools loaded later are capped
// when they arrive. The rules replace the earlier ones; an empty list ends all caps. A pool with a
// gate gets fewer threads at its next call or bending region, and keeps the program's own number;
// for other regions see thread_caps.h. Other pools of process scope are set, never raised.
// CW_BAD_COUNT or CW_UNKNOWN_NAME for a rule that makes no sense; then nothing was changed.
Result<std::vector<Capped>> cap(std::vector<Rule> rules);

// What cap() would do.
Result<std::vector<Capped>> try_cap(std::vector<Rule> rules);

std::vector<Capped> caps();

bool is_governed();

// The ids of the pools that have a gate; empty while not governed.
std::vector<std::uint32_t> governed_pools();

// The budget's ledger as it is now, after a look at the budget; nothing while nobody governs here.
std::optional<LedgerSnapshot> ledger_now();

// See docs/json.md. Checks the budget first.
std::string report_json();

}  // namespace corewise::govern
