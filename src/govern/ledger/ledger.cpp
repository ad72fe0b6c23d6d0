#include "ledger.h"

#include <algorithm>
#include <atomic>

#include "base/clock.h"
#include "group_budget.h"
#include "ledger_holders.h"
#include "ledger_identity.h"
#include "ledger_protocol.h"
#include "os/confined.h"

namespace corewise::govern {
namespace {

struct LiveWorld {
  static void step() noexcept {}
  static Life life(Word word, bool closely) noexcept { return life_of(word, closely); }
  static std::uint64_t now_ms() noexcept { return corewise::now_ms(); }
};

constinit LiveWorld world;

Protocol<LiveWorld> protocol(Shared& shared) { return {shared, world}; }

struct CallerOfThread {
  std::uint64_t ledger = 0;
  Caller caller;
};

// In the thread's static TLS block, not in one that is allocated at the first access: acquire()
// runs in hooks.
[[gnu::tls_model("initial-exec")]] constinit thread_local CallerOfThread this_thread;

constinit std::atomic<std::uint64_t> ledgers_opened{0};

}  // namespace

Result<std::unique_ptr<Ledger>> Ledger::open(const LedgerOptions& options) {
  if (options.budget < 1 || options.budget > kMaxBudget) {
    return Error{CW_BAD_COUNT, "A budget of " + std::to_string(options.budget) +
                                   " threads cannot be kept: give 1 to " +
                                   std::to_string(kMaxBudget) + "."};
  }
  return std::unique_ptr<Ledger>(new Ledger(options));
}

Ledger::Ledger(const LedgerOptions& options)
    : memory_(map_ledger(options.directory, options.key, options.budget)),
      recent_(options.recent),
      serial_(ledgers_opened.fetch_add(1) + 1),
      time_namespace_(time_namespace()),
      budget_alone_(options.budget) {
  if (memory_.at) memory_.at->budget.store(static_cast<std::uint32_t>(options.budget));
  if (memory_.at && !memory_.made) join_group(*memory_.at, memory_.path);
  if (memory_.made) sweep_ledgers(options.directory, memory_.path);
}

Ledger::~Ledger() {
  if (!memory_.at) return;
  if (const Claim held = local_.get()) protocol(*memory_.at).give_up(held);
  unmap(memory_.at);
}

Grant Ledger::acquire(int wanted, int most, bool again, int part) noexcept {
  wanted = std::clamp(wanted, 1, kMaxBudget);
  const int useful = std::clamp(most, 1, wanted);
  int limit = useful;
  const int weight = weight_.load(std::memory_order_relaxed);
  if (!memory_.at) return {std::min(limit, budget_alone_.load()), 0};

  auto ledger = protocol(*memory_.at);
  const int within = within_.load(std::memory_order_relaxed);
  if (recent_.enabled) {
    const int budget = std::min(ledger.budget(), within);
    limit = std::min(limit, recent_.share(budget, callers(!again), weight));
    // A thread in a long call asked long ago, and is not among the recent callers.
    if (limit > 1) {
      limit = std::min(limit, recent_.share(budget, ledger.hungry() + weight, weight));
    }
  }
  const Claim held = claim();
  if (!held) return {1, 0};
  const int granted =
      ledger.take(held, limit, std::min(useful, ledger.left_of(held, part)), within, part);
  if (granted == 0) {
    // Somebody overwrote our word, or declared us dead: begin again at the next region.
    Claim lost = held;
    if (!ledger.holds(held)) local_.replace(lost, 0);
    return {1, 0};
  }
  const Grant grant{granted, held, granted < std::min(useful, ledger.budget())};
  note_hunger(grant);
  if (PublicSums* const sums = public_sums()) {
    note_asked(*sums, publish(*sums, ledger, world, held) - granted + useful, now_ms());
  }
  return grant;
}

PublicSums* Ledger::public_sums() const noexcept {
  PublicSums* const sums = public_.load(std::memory_order_relaxed);
  if (sums == nullptr || sums->ledger.load(std::memory_order_relaxed) != public_number_.load()) {
    return nullptr;
  }
  return sums;
}

void Ledger::release(const Grant& grant) noexcept {
  if (grant.claim == 0 || !memory_.at || grant.claim != local_.get()) return;
  forget_hunger(grant);
  auto ledger = protocol(*memory_.at);
  ledger.give_back(grant.claim, grant.threads);
  if (PublicSums* const sums = public_sums()) publish(*sums, ledger, world, grant.claim);
}

Standing Ledger::standing(const Grant& own, bool asks) noexcept {
  if (!memory_.at) return {budget_alone_.load(), false};
  const auto ledger = protocol(*memory_.at);
  const int weight = weight_.load(std::memory_order_relaxed);
  const int others = std::max(0, ledger.hungry() - (own.hungry ? weight : 0));
  const int budget = std::min(ledger.budget(), within_.load(std::memory_order_relaxed));
  if (!recent_.enabled) return {budget, others > 0};
  return {std::min(recent_.share(budget, callers(asks), weight),
                   recent_.share(budget, others + weight, weight)),
          others > 0};
}

Grant Ledger::change(const Grant& grant, int wanted) noexcept {
  wanted = std::clamp(wanted, 1, kMaxBudget);
  if (!memory_.at) return {std::min(wanted, budget_alone_.load()), 0};
  const Claim held = claim();
  if (!held) return {1, 0};
  auto ledger = protocol(*memory_.at);
  const bool kept = grant.claim == held;
  if (kept) forget_hunger(grant);
  int threads = kept ? grant.threads : 0;
  if (wanted < threads) {
    ledger.give_back(held, threads - wanted);
    threads = wanted;
  } else if (wanted > threads) {
    threads += ledger.take(held, wanted - threads, threads == 0 ? 1 : 0,
                           within_.load(std::memory_order_relaxed));
  }
  if (PublicSums* const sums = public_sums()) {
    note_asked(*sums, publish(*sums, ledger, world, held) - threads + wanted, now_ms());
  }
  Claim lost = held;
  if (!ledger.holds(held)) {
    local_.replace(lost, 0);
    return {std::max(1, threads), 0};
  }
  const Grant changed{threads, held, threads < std::min(wanted, ledger.budget())};
  note_hunger(changed);
  return changed;
}

// The recent ones, by weight; this thread is one of them if it counts.
int Ledger::callers(bool counts) noexcept {
  RecentCallers& recent = memory_.at->recent;
  if (!counts) return recent.callers_now(now_ms(), recent_);
  if (this_thread.ledger != serial_) this_thread = {serial_, {}};
  return recent.enter(this_thread.caller, now_ms(), recent_,
                      weight_.load(std::memory_order_relaxed));
}

void Ledger::note_hunger(const Grant& grant) noexcept {
  if (!grant.hungry) return;
  memory_.at->records[place_of(grant.claim) % kPlaces].hungry.fetch_add(1,
                                                                        std::memory_order_relaxed);
}

void Ledger::forget_hunger(const Grant& grant) noexcept {
  if (!grant.hungry) return;
  memory_.at->records[place_of(grant.claim) % kPlaces].hungry.fetch_sub(1,
                                                                        std::memory_order_relaxed);
}

Claim Ledger::claim() noexcept {
  if (const Claim held = local_.get()) return held;
  const std::uint64_t now = now_ms();
  if (now < local_.retry_at_ms().load(std::memory_order_relaxed)) return 0;
  return claim_anew(now);
}

Claim Ledger::claim_anew(std::uint64_t now) noexcept {
  Claim got = 0;
  // The others would take a child that entered another pid namespace for dead, and it them; in
  // another time namespace it reads other start times. A child of a confined process, for which to
  // ask may be fatal, is taken to be where its parent is.
  if (os::is_known_confined() || (pid_namespace() == memory_.at->header.pid_namespace &&
                                  time_namespace() == time_namespace_)) {
    got = protocol(*memory_.at).claim(pack(own_identity()));
  }
  if (!got) {
    local_.retry_at_ms().store(now + kClaimAgainMs, std::memory_order_relaxed);
    return 0;
  }
  // Clear it before any thread of ours can know the place: what they record must stay.
  Record& record = memory_.at->records[place_of(got) % kPlaces];
  record.hungry.store(0, std::memory_order_relaxed);
  record.weight.store(static_cast<std::uint32_t>(weight_.load()), std::memory_order_relaxed);
  Claim current = 0;
  if (!local_.replace(current, got)) {
    protocol(*memory_.at).give_up(got);
    return current;
  }
  return got;
}

Status Ledger::set_budget(int budget) noexcept {
  if (budget < 1 || budget > kMaxBudget) return CW_BAD_COUNT;
  budget_alone_.store(budget);
  if (memory_.at) memory_.at->budget.store(static_cast<std::uint32_t>(budget));
  return CW_OK;
}

void Ledger::set_weight(int weight) noexcept {
  weight_.store(std::clamp(weight, 1, kMostWeight));
  if (!memory_.at) return;
  if (const Claim held = local_.get()) {
    memory_.at->records[place_of(held) % kPlaces].weight.store(
        static_cast<std::uint32_t>(weight_.load()), std::memory_order_relaxed);
  }
}

int Ledger::budget() const noexcept {
  return memory_.at ? protocol(*memory_.at).budget() : budget_alone_.load();
}

bool Ledger::has_chosen_budget() const noexcept {
  return memory_.at && memory_.at->chosen.load() != 0;
}

int Ledger::granted() const noexcept { return memory_.at ? protocol(*memory_.at).total() : 0; }

LedgerSnapshot Ledger::snapshot() const {
  if (!memory_.at) return {.path = {}, .key = {}, .budget = budget_alone_.load(), .entries = {}};
  LedgerSnapshot snapshot = read_ledger(*memory_.at);
  snapshot.path = memory_.path;
  return snapshot;
}

}  // namespace corewise::govern
