#include "hold.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "../discover.h"
#include "../runtimes/table.h"
#include "arena.h"
#include "gate.h"
#include "gate_kmp.h"
#include "gate_libgomp.h"
#include "gate_openblas.h"
#include "ledger_layout.h"
#include "module_names.h"

namespace corewise::govern {

void Hold::note(const Pool& pool, const char* how, std::string finding) {
  pools_.push_back({pool.id, how, std::move(finding)});
}

void Hold::add_slots(std::vector<SlotRequest> requests) {
  if (!requests.empty()) slots_.push_back(std::make_unique<Slots>(std::move(requests)));
}

void Hold::hook_openmp(const Pool& pool, int) {
  if (openmp_copies_ == libgomp::kMostCopies) {
    return note(pool, "none", "there are more OpenMP runtimes than can be told apart");
  }
  const ModuleNames names(pool);
  const libgomp::Symbol symbol = [&](const char* name) {
    return reinterpret_cast<void*>(names.exported(name).address);
  };
  std::vector<SlotRequest> requests = libgomp::slot_requests(openmp_copies_, symbol);
  std::ranges::copy(kmp::slot_requests(openmp_copies_, symbol), std::back_inserter(requests));
  if (requests.empty()) return note(pool, "none", "it lacks the functions that regions need");
  ++openmp_copies_;
  add_slots(std::move(requests));
  note(pool, "gate");
}

void Hold::hook_openblas(const Pool& pool, int) {
  for (const arena::Copy& copy : arena::install()) {
    if (copy.base != pool.base) continue;
    if (!copy.served) return note(pool, "none", copy.reason);
    const openblas::Attached attached = openblas::attach(pool, copy);
    const char* how = !attached.governed ? "none" : attached.reason.empty() ? "gate" : "counted";
    note(pool, how, attached.reason);
    pools_.back().served = true;
    return;
  }
  note(pool, "none", "its work buffers were not found");
}

// Only what is above the budget, since a limit also raises.
void Hold::limit(const Pool& pool, int budget) {
  if (pool.scope == CW_SCOPE_NONE || pool.runtime->set == nullptr) {
    return note(pool, "none", "it cannot be set from here");
  }
  if (pool.runtime->get(pool) <= budget) return note(pool, "limit");
  auto limits = open_limits({{CW_MATCH_ID, {}, pool.id, budget}}, CW_LIMITS_NOT_STICKY,
                            reinterpret_cast<std::uintptr_t>(this));
  if (!limits) return note(pool, "none", limits.error().what);
  limits_.push_back(std::move(*limits));
  note(pool, "limit",
       pool.scope == CW_SCOPE_THREAD
           ? "only the thread that governs is limited: the library counts for each by itself"
           : "");
}

void Hold::add(const Pool& pool, int budget) {
  struct Gate {
    const Runtime* runtime;
    void (Hold::*hook)(const Pool& pool, int budget);
  };
  static constexpr Gate kGates[] = {{&kOpenblas, &Hold::hook_openblas},
                                    {&kLibgomp, &Hold::hook_openmp},
                                    {&kLibomp, &Hold::hook_openmp},
                                    {&kLibiomp, &Hold::hook_openmp}};
  const auto* gate = std::ranges::find(kGates, pool.runtime, &Gate::runtime);
  (this->*(gate != std::end(kGates) ? gate->hook : &Hold::limit))(pool, budget);
}

std::vector<std::string> Hold::rewrite_slots() {
  std::vector<std::string> left;
  for (const auto& slots : slots_)
    std::ranges::move(slots->rewrite().left, std::back_inserter(left));
  return left;
}

std::vector<std::string> Hold::restore_slots() {
  std::vector<std::string> left;
  for (const auto& slots : slots_)
    std::ranges::move(slots->restore().left, std::back_inserter(left));
  return left;
}

// A copy that the arena does not serve has so many buffers. The least that any build has is 50.
void Hold::cap_teams() const {
  constexpr int kLeastSlots = 50;
  int most = kMaxBudget;
  for (const Held& held : pools_) {
    const Pool& pool = pool_at(held.pool);
    if (pool.runtime != &kOpenblas || held.served) continue;
    most = std::min(most, pool.caller_slots > 0 ? pool.caller_slots : kLeastSlots);
  }
  gate::cap_teams(most);
}

void Hold::close() {
  for (const LimitsHandle& limits : limits_) close_limits(*limits);
  limits_.clear();
  pools_.clear();
  openmp_copies_ = 0;
}

}  // namespace corewise::govern
