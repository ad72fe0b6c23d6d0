#include "granter.h"

#include <utility>

#include "ledger_clock.h"

namespace corewise::govern {

Granter::Granter(const std::string& key, std::unique_ptr<Ledger> ledger)
    : key_(key), ledger_(std::move(ledger)), grants_{acquire, release, this} {}

Result<Granter*> Granter::open(const std::string& key, int budget) {
  LedgerOptions wanted;
  wanted.key = key;
  wanted.budget = budget;
  auto ledger = Ledger::open(wanted);
  if (!ledger) return ledger.error();
  return new Granter(key, std::move(*ledger));
}

int Granter::left_by_others() noexcept {
  const int cpus = machine_cpus_.load(std::memory_order_relaxed);
  if (cpus == 0) return kMaxBudget;
  const std::uint64_t now = now_ms();
  if (queue_.due(now)) {
    // The caller is runnable too, and the workers of the last team may still spin.
    const int ours = ledger_->granted() + last_team_.load(std::memory_order_relaxed);
    if (const auto runnable = runnable_now()) queue_.looked(now, *runnable - ours);
  }
  return beside(queue_.others(now), cpus, ledger_->budget());
}

Permit Granter::acquire(void* self, int wanted, bool again) noexcept {
  Granter& granter = *static_cast<Granter*>(self);
  const Grant grant = granter.ledger_->acquire(wanted, granter.left_by_others(), again);
  if (granter.last_team_.load(std::memory_order_relaxed) != grant.threads) {
    granter.last_team_.store(grant.threads, std::memory_order_relaxed);
  }
  return {grant.threads, grant.claim, grant.hungry};
}

void Granter::release(void* self, const Permit& permit) noexcept {
  static_cast<Granter*>(self)->ledger_->release({permit.threads, permit.note, permit.hungry});
}

}  // namespace corewise::govern
