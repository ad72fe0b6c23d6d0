#include "pool_policy.h"

#include <algorithm>
#include <iterator>
#include <string_view>
#include <utility>

#include "govern/gates/dead_workers.h"
#include "govern/gates/gate_kmp.h"
#include "govern/gates/gate_libgomp.h"
#include "govern/gates/gate_openblas.h"
#include "govern/gates/gate_tbb.h"
#include "govern/grants/gate.h"
#include "govern/openblas_buffers/openblas_buffers.h"
#include "govern/spinning/idle_pools.h"
#include "govern/spinning/waiting.h"
#include "os/program.h"
#include "pools/discover.h"
#include "pools/module_names.h"
#include "pools/runtimes/table.h"

namespace corewise::govern {

Held& Hold::note(const Pool& pool, const char* how, std::string finding) {
  Held& held = pools_.emplace_back();
  held.pool = pool.id;
  held.how = how;
  held.finding = std::move(finding);
  return held;
}

void Hold::add_slots(std::vector<SlotRequest> requests) {
  if (!requests.empty()) slots_.push_back(std::make_unique<Slots>(std::move(requests)));
}

void Hold::begin(std::vector<std::vector<SlotRequest>> everywhere) {
  slots_.clear();
  for (std::vector<SlotRequest>& requests : everywhere) add_slots(std::move(requests));
}

void Hold::hook_openmp(const Pool& pool) {
  if (openmp_copies_ == libgomp::kMostCopies) {
    note(pool, "none", "there are more OpenMP runtimes than can be told apart");
    return;
  }
  const ModuleNames names(pool);
  const libgomp::Symbol symbol = [&](const char* name) {
    return reinterpret_cast<void*>(names.exported(name).address);
  };
  std::vector<SlotRequest> requests = libgomp::slot_requests(openmp_copies_, pool.id, symbol);
  if (pool.runtime == &kLibgomp) {
    dead_workers::watch(openmp_copies_, pool.base,
                        reinterpret_cast<int (*)()>(symbol("omp_get_level")));
  }
  std::ranges::copy(kmp::slot_requests(openmp_copies_, pool.id, symbol),
                    std::back_inserter(requests));
  if (requests.empty()) {
    note(pool, "none", "it lacks the functions that regions need");
    return;
  }
  if (const auto word = idle_pools::word_of(pool)) waiting::add_word(openmp_copies_, *word);
  ++openmp_copies_;
  add_slots(std::move(requests));
  note(pool, "gate");
}

void Hold::hook_openblas(const Pool& pool) {
  for (const openblas_buffers::CopyReport& copy : openblas_buffers::install()) {
    if (copy.base != pool.base) continue;
    if (!copy.served) {
      note(pool, "none", copy.reason).by_limit = Held::ByLimit::kCap;
      return;
    }
    const openblas::Attached attached = openblas::attach(pool, copy);
    const char* how = !attached.governed ? "none" : attached.reason.empty() ? "gate" : "counted";
    Held& held = note(pool, how, attached.reason);
    held.served = true;
    // Over OpenMP its calls are narrowed also where the program's own view of them is not kept.
    const bool narrowed = attached.governed && (attached.reason.empty() || pool.layer == "openmp");
    if (!narrowed) held.by_limit = Held::ByLimit::kCap;
    return;
  }
  note(pool, "none", "its work buffers were not found").by_limit = Held::ByLimit::kCap;
}

// Limited besides, since it asks for permits only if it was loaded governed.
void Hold::hook_tbb(const Pool& pool) {
  tbb::expect(ModuleNames(pool).module(), pool.id);
  hook_none(pool);
}

void Hold::hook_none(const Pool& pool) {
  if (pool.scope == CW_SCOPE_NONE || !pool.runtime->set) {
    note(pool, "none", "it cannot be set from here");
    return;
  }
  note(pool, "limit").by_limit = Held::ByLimit::kAlways;
}

const Hold::Gate* Hold::gate_of(const Pool& pool) {
  static constexpr Gate kGates[] = {{&kOpenblas, &Hold::hook_openblas, true},
                                    {&kLibgomp, &Hold::hook_openmp, true},
                                    {&kLibomp, &Hold::hook_openmp, true},
                                    {&kLibiomp, &Hold::hook_openmp, true},
                                    {&kTbb, &Hold::hook_tbb, false}};
  const auto* gate = std::ranges::find(kGates, pool.runtime, &Gate::runtime);
  return gate != std::end(kGates) ? gate : nullptr;
}

void Hold::add(const Pool& pool) {
  const Gate* gate = gate_of(pool);
  (this->*(gate != nullptr ? gate->hook : &Hold::hook_none))(pool);
}

std::vector<std::string> Hold::rewrite_slots() {
  std::vector<std::string> left;
  for (const auto& slots : slots_) {
    std::ranges::move(slots->rewrite().left, std::back_inserter(left));
  }
  return left;
}

std::vector<std::string> Hold::restore_slots() {
  std::vector<std::string> left;
  for (const auto& slots : slots_) {
    std::ranges::move(slots->restore().left, std::back_inserter(left));
  }
  return left;
}

std::vector<std::string> Hold::region_modules() const {
  const auto starts_region = [](std::string_view symbol) {
    return symbol.starts_with("GOMP_parallel") || symbol.starts_with("__kmpc_fork_call");
  };
  std::vector<std::string> paths;
  for (const auto& slots : slots_) {
    for (std::string& path : slots->modules(starts_region)) {
      if (path.empty()) path = os::program_path();
      if (std::ranges::find(paths, path) == paths.end()) paths.push_back(std::move(path));
    }
  }
  return paths;
}

// A copy without our buffers has so many buffers. The least that any build has is 50.
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

// What has no gate. Only what is above the most, since a limit also raises.
void Hold::limit(Held& held) {
  const Pool& pool = pool_at(held.pool);
  const int cap = wanted_by(caps_, pool);
  int most = held.by_limit == Held::ByLimit::kAlways ? most_ : kMaxBudget;
  if (cap != 0) most = std::min(most, cap);
  if (held.by_limit == Held::ByLimit::kNever || held.most == most) return;
  // What the program has not used is left alone until a later pass, but for a cap: somebody asked.
  if (!pool.may_be_asked() && (cap == 0 || is_amid_call())) return;
  held.most = most;
  if (held.limit != nullptr) close_limits(*std::exchange(held.limit, nullptr));
  if (pool.scope == CW_SCOPE_NONE || pool.ask_threads().value_or(0) <= most) return;
  auto opened = open_limits({{CW_MATCH_ID, {}, pool.id, most}}, CW_LIMITS_NOT_STICKY,
                            reinterpret_cast<std::uintptr_t>(this));
  if (!opened) {
    held.how = "none";
    held.finding = held.not_limited = opened.error().what;
    return;
  }
  held.limit = std::move(*opened);
  if (pool.scope == CW_SCOPE_THREAD) {
    held.finding = "only the thread that governs is limited: the library counts for each by itself";
  }
}

void Hold::obey() {
  for (Held& held : pools_) {
    limit(held);
    if (tbb::asks(held.pool)) held.how = "gate";
    const bool gate = held.by_limit == Held::ByLimit::kNever;
    gate::cap_pool(held.pool, gate ? wanted_by(caps_, pool_at(held.pool)) : 0);
  }
  openblas::obey_caps();
}

std::vector<Capped> Hold::caps() const {
  std::vector<Capped> all;
  for (const Held& held : pools_) {
    const Pool& pool = pool_at(held.pool);
    const int most = wanted_by(caps_, pool);
    if (most == 0) continue;
    const bool gate =
        held.by_limit == Held::ByLimit::kNever && held.how != std::string_view("none");
    const bool settable = pool.scope == CW_SCOPE_PROCESS && static_cast<bool>(pool.runtime->set);
    std::string finding;
    if (!gate) finding = settable ? held.not_limited : held.finding;
    if (!gate && pool.scope == CW_SCOPE_THREAD) {
      finding = "each thread has a count of its own, which only that thread can set";
    }
    const bool by_thread = gate && pool.runtime->api == CW_API_OPENMP;
    all.push_back({held.pool, most, gate, by_thread, std::move(finding)});
  }
  return all;
}

std::vector<Capped> Hold::with_caps(std::vector<Rule> caps, bool hooked) const {
  Hold tried;
  tried.caps_ = std::move(caps);
  if (hooked) {
    tried.pools_ = pools_;
    return tried.caps();
  }
  for (std::size_t id = 0; id < pool_count(); ++id) {
    const Pool& pool = pool_at(id);
    const Gate* const gate = gate_of(pool);
    if (gate == nullptr || !gate->keeps_caps) {
      tried.hook_none(pool);
    } else {
      tried.note(pool, "gate");
    }
  }
  return tried.caps();
}

void Hold::let_go() {
  for (const Held& held : pools_) {
    gate::cap_pool(held.pool, 0);
    if (held.limit != nullptr) close_limits(*held.limit);
  }
  pools_.clear();
  openmp_copies_ = 0;
}

}  // namespace corewise::govern
