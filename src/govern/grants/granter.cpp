#include "granter.h"

#include <algorithm>
#include <utility>

#include "base/clock.h"
#include "os/confined.h"

namespace corewise::govern {
namespace {

std::string directory_of(const std::string& path) { return path.substr(0, path.rfind('/')); }

}  // namespace

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

std::string Granter::share_with_users(int cpus) {
  std::string finding;
  const bool wanted = cpus != 0 && ledger_->shared();
  if (!wanted) {
    machine_.store(nullptr);
    ignore_users();
  } else if (machine() == nullptr) {
    MachineShare* const made =
        MachineShare::open(directory_of(ledger_->path()), ledger_->path(), cpus, finding);
    machine_.store(made);
    if (made != nullptr) ledger_->publish_in(&made->sums());
  }
  return finding;
}

void Granter::ignore_users() noexcept {
  ledger_->publish_in(nullptr);
  ledger_->keep_within(kMaxBudget);
}

int Granter::bounded() const noexcept {
  const bool chosen = ledger_->has_chosen_budget();
  return std::min(ledger_->budget(), (chosen ? hard_ : most_).load(std::memory_order_relaxed));
}

int Granter::most_now(int bound) noexcept {
  const int cpus = machine_cpus_.load(std::memory_order_relaxed);
  if (cpus == 0) return bound;
  const auto runnable = [this]() -> std::optional<int> {
    // The kernel may kill a confined program for asking.
    if (os::is_confined()) return std::nullopt;
    mask_.reread();
    return runnable_now();
  };
  const int left = neighbours_.left(
      now_ms(), cpus, ledger_->budget(), [this] { return ledger_->granted(); }, runnable);
  return std::min({left, bound, mask_.most()});
}

Grant Granter::acquire(void* self, const GrantRequest& request) noexcept {
  Granter& granter = *static_cast<Granter*>(self);
  const int bound = granter.bounded();
  int part =
      granter.ledger_->has_chosen_budget() ? 1 : granter.part_.load(std::memory_order_relaxed);
  if (MachineShare* const machine = granter.machine()) {
    const int most = machine->most(now_ms());
    granter.ledger_->keep_within(most);
    // It may have found that our place on the page went to another ledger.
    granter.ledger_->publish_in(&machine->sums());
    // If it ended meanwhile, these two may have come last, and nobody would undo them.
    if (granter.machine_.load() == nullptr) granter.ignore_users();
    // What other users leave is divided as the budget was.
    const int budget = granter.ledger_->budget();
    if (most < budget) part = std::max(1, part * most / budget);
  }
  Grant grant =
      granter.ledger_->acquire(request.wanted, granter.most_now(bound), request.again, part);
  grant.contended = grant.threads < std::min(request.wanted, bound);
  const int team = request.whole ? request.wanted : grant.threads;
  // If others want the CPUs, its workers sleep after it (waiting.h), and only the caller runs.
  granter.neighbours_.got(grant.contended || team > grant.threads ? 1 : team);
  return grant;
}

void Granter::release(void* self, const Grant& grant) noexcept {
  static_cast<Granter*>(self)->ledger_->release(grant);
}

}  // namespace corewise::govern
