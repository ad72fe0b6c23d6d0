// The ledger: how many threads each process runs now, in all processes of this user that share one
// budget. A hook asks it for a grant at every outermost parallel region or BLAS call and gives the
// grant back after. docs/ledger.md explains the protocol and why its promises hold.
//
// A grant is immediate, at least 1 and at most what was wanted. All grants together stay within the
// budget, except for regions that hold one thread because nothing was free, and for the parts that
// processes have for themselves. A region that is alone gets the whole budget. What a process holds
// is free again once it ends, at whatever instruction, or runs another program.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "grant.h"
#include "ledger_shm.h"
#include "local_claim.h"
#include "public_sums.h"
#include "recent_callers.h"

namespace corewise::govern {

struct LedgerOptions {
  std::string key;  // names the budget: cgroup, CPU mask, whatever makes two budgets differ
  int budget = 1;   // 1 .. kMaxBudget
  RecentCallersPolicy recent;
  std::string directory = "/dev/shm";
};

// One process in a ledger.
struct LedgerEntry {
  std::uint32_t pid = 0;
  int tokens = 0;
};

struct LedgerSnapshot {
  std::string path;
  std::string key;
  int budget = 0;
  std::vector<LedgerEntry> entries;
};

// What the next of a caller's grants may be, beside the others.
struct Standing {
  int share = 1;             // of the budget, if all of it were free
  bool others_wait = false;  // regions of others are inside with fewer threads than they could use
};

class Ledger {
 public:
  // Fails only if the budget is out of range. A ledger that cannot be shared works for this process
  // and says why in finding().
  static Result<std::unique_ptr<Ledger>> open(const LedgerOptions& options);

  Ledger(const Ledger&) = delete;
  Ledger& operator=(const Ledger&) = delete;
  // Leaves the ledger. No other thread may be inside acquire() or release().
  ~Ledger();

  // Neither allocates, locks nor waits; both leave errno alone, and may be called in the child of a
  // fork. In a child, grants of the parent are not given back.
  // `most` is the caller's own upper bound; what it withholds is recorded like what is not free.
  // `again`: for a caller that another thread has counted among the recent ones.
  // `part`: the threads reserved to this process; it gets that many, within `most`, whatever the
  // others hold. 1: it gets what is free.
  Grant acquire(int wanted, int most = kMaxBudget, bool again = false, int part = 1) noexcept;
  void release(const Grant& grant) noexcept;

  // For a grant that lasts, such as a build's (cli/jobs/jobserver.h). `asks`: the caller may want
  // more, and counts among the recent ones.
  Standing standing(const Grant& own, bool asks) noexcept;
  // Makes it smaller, or larger as far as threads are free; a grant that the ledger has lost begins
  // anew. It counts as hungry while it is below `wanted`.
  Grant change(const Grant& grant, int wanted) noexcept;

  // For all processes of the ledger; the last writer wins. Grants already made stay.
  Status set_budget(int budget) noexcept;
  int budget() const noexcept;
  // Of this process among those that want more than is free: 1 .. kMostWeight.
  void set_weight(int weight) noexcept;
  // From now on this process tells other users what the ledger grants, in `sums`, which must live
  // for good; not while these belong to another ledger. Costs one comparison if nothing changes.
  void publish_in(PublicSums* sums) noexcept {
    if (public_.load() == sums) return;
    if (sums != nullptr) public_number_.store(sums->ledger.load());
    public_.store(sums);
  }
  // Of all that the ledger grants.
  void keep_within(int threads) noexcept {
    if (within_.load() != threads) within_.store(threads);
  }
  // Whether somebody chose a budget for all processes (group_budget.h); then budget() is that one.
  bool has_chosen_budget() const noexcept;
  // Threads granted now, to all processes of the ledger; 0 where it cannot be shared.
  int granted() const noexcept;

  bool shared() const noexcept { return !memory_.path.empty(); }
  const std::string& path() const noexcept { return memory_.path; }
  const std::string& finding() const noexcept { return memory_.finding; }

  LedgerSnapshot snapshot() const;

 private:
  explicit Ledger(const LedgerOptions& options);
  Claim claim() noexcept;
  Claim claim_anew(std::uint64_t now_ms) noexcept;
  int callers(bool counts) noexcept;
  void note_hunger(const Grant& grant) noexcept;
  void forget_hunger(const Grant& grant) noexcept;
  PublicSums* public_sums() const noexcept;

  SharedMemory memory_;
  LocalClaim local_;
  RecentCallersPolicy recent_;
  std::atomic<int> weight_{kUsualWeight};
  std::uint64_t serial_;
  std::uint64_t time_namespace_;  // that it was opened in, which its key names
  std::atomic<int> budget_alone_;
  std::atomic<int> within_{kMaxBudget};
  std::atomic<PublicSums*> public_{nullptr};
  std::atomic<std::uint64_t> public_number_{0};
};

// All ledgers of this user in a directory, whether or not this process takes part in them.
std::vector<LedgerSnapshot> read_ledgers(const std::string& directory = "/dev/shm");

// What a mapped ledger holds now. The processes run on meanwhile: each entry is true of itself.
LedgerSnapshot read_ledger(const Shared& shared);

}  // namespace corewise::govern
