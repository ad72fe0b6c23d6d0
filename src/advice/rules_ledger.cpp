// Who holds the threads of a ledger.
#include <string>
#include <vector>

#include "base/text.h"
#include "rules.h"
#include "sentences.h"

namespace corewise::rules {
namespace {

std::string for_how_long(const Holder& holder) {
  if (!holder.idle_s || *holder.idle_s < 1) return {};
  const double s = *holder.idle_s;
  if (s < 120) return " for " + n(static_cast<int>(s)) + " s";
  if (s < 7200) return " for " + n(static_cast<int>(s / 60)) + " min";
  return " for " + n(static_cast<int>(s / 3600)) + " h";
}

std::string named(const Holder& holder) {
  return "process " + n(holder.pid) +
         (holder.program.empty() ? std::string() : " (" + holder.program + ")");
}

}  // namespace

// Which processes hold the threads of a ledger that has none left, and which held threads nobody
// uses.
void ledger_holders(const ProcessFacts& facts, Findings& out) {
  for (const HeldLedger& ledger : facts.ledgers) {
    int sum = 0;
    std::vector<std::string> all;
    for (const Holder& holder : ledger.holders) {
      sum += holder.tokens;
      all.push_back(named(holder) + " " + n(holder.tokens));
      const std::string held = " holds " + n(holder.tokens) + " of the " +
                               plural(ledger.budget, "thread") + " of the budget";
      const bool frozen = holder.state == HolderState::kFrozen;
      if (frozen || holder.state == HolderState::kStopped) {
        out.push_back(
            {"ledger-stopped", Severity::kNote,
             named(holder) + held + ", and has been " + (frozen ? "frozen" : "stopped") +
                 for_how_long(holder),
             std::string(frozen ? "its cgroup was frozen (docker pause, systemctl freeze)"
                                : "Ctrl-Z or a debugger stopped it") +
                 " in the middle of a parallel loop or BLAS call. The next one of another process "
                 "that gets too few threads takes these back",
             frozen ? "nothing; or thaw it: docker unpause, systemctl thaw, or 0 into its "
                      "cgroup.freeze"
                    : "nothing; or kill -CONT " + n(holder.pid) + " to let it go on"});
      } else if (holder.state == HolderState::kGone) {
        out.push_back(
            {"ledger-ended", Severity::kNote, named(holder) + held + ", and has ended",
             "it was killed in the middle of a parallel loop or BLAS call. The next one that gets "
             "too few threads takes these back",
             "nothing; or remove " + ledger.path + " while no process uses it"});
      }
    }
    if (sum < ledger.budget || all.empty()) continue;
    out.push_back({"ledger-full", Severity::kNote,
                   "governed programs hold all " + plural(ledger.budget, "thread") +
                       " of the budget: " + listed(all),
                   "a region or BLAS call gets what is free as it starts, at least one thread",
                   "nothing if they should share. To separate them: corewise limit --pid, or "
                   "corewise run --group NAME with a budget of its own"});
  }
}

}  // namespace corewise::rules
