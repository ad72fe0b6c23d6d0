#include "pool_policy.h"

#include <algorithm>
#include <iterator>
#include <ranges>
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
#include "govern/teams/thread_caps.h"
#include "os/os.h"
#include "pools/discover.h"
#include "pools/module_names.h"

namespace corewise::govern {

const char* name_of(Governed how) {
  constexpr const char* kNames[] = {"gate", "counted", "limit", "none"};
  return kNames[static_cast<std::size_t>(how)];
}

GovernedPool& PoolPolicy::note(const Pool& pool, Governed how, std::string finding) {
  GovernedPool& governed = pools_.emplace_back();
  governed.pool = pool.id;
  governed.how = how;
  governed.finding = std::move(finding);
  return governed;
}

void PoolPolicy::add_requests(std::vector<GotRequest> requests) {
  if (!requests.empty()) got_.push_back(std::make_unique<GotEntries>(std::move(requests)));
}

void PoolPolicy::begin(std::vector<std::vector<GotRequest>> everywhere) {
  got_.clear();
  for (std::vector<GotRequest>& requests : everywhere) add_requests(std::move(requests));
  everywhere_ = got_.size();
}

void PoolPolicy::hook_openmp(const Pool& pool) {
  if (openmp_copies_ == thread_caps::kMostCopies) {
    note(pool, Governed::kNone, "there are more OpenMP runtimes than can be told apart");
    return;
  }
  const ModuleNames names(pool);
  const libgomp::FunctionByName symbol = [&](const char* name) {
    return reinterpret_cast<void*>(names.exported(name).address);
  };
  std::vector<GotRequest> requests = libgomp::got_requests(openmp_copies_, pool.id, symbol);
  if (pool.runtime->gate == GateKind::kLibgomp) {
    dead_workers::watch(openmp_copies_, pool.base,
                        reinterpret_cast<int (*)()>(symbol("omp_get_level")));
  }
  std::ranges::copy(kmp::got_requests(openmp_copies_, pool.id, symbol),
                    std::back_inserter(requests));
  if (requests.empty()) {
    note(pool, Governed::kNone, "it lacks the functions that regions need");
    return;
  }
  if (const auto word = idle_pools::word_of(pool)) waiting::add_word(openmp_copies_, *word);
  ++openmp_copies_;
  add_requests(std::move(requests));
  note(pool, Governed::kGate);
}

void PoolPolicy::hook_openblas(const Pool& pool) {
  for (const openblas_buffers::CopyReport& copy : openblas_buffers::install()) {
    if (copy.base != pool.base) continue;
    if (!copy.served) {
      note(pool, Governed::kNone, copy.reason).by_limit = GovernedPool::ByLimit::kCap;
      return;
    }
    const openblas::Attached attached = openblas::attach(pool, copy);
    const Governed how = !attached.governed        ? Governed::kNone
                         : attached.reason.empty() ? Governed::kGate
                                                   : Governed::kCounted;
    GovernedPool& governed = note(pool, how, attached.reason);
    governed.served = true;
    // Over OpenMP its calls are narrowed even if the program cannot be shown its own number.
    const bool narrowed = attached.governed && (attached.reason.empty() || pool.layer == "openmp");
    if (!narrowed) governed.by_limit = GovernedPool::ByLimit::kCap;
    return;
  }
  note(pool, Governed::kNone, "its work buffers were not found").by_limit =
      GovernedPool::ByLimit::kCap;
}

// Limited as well: oneTBB asks for permits only if it was loaded while governed.
void PoolPolicy::hook_tbb(const Pool& pool) {
  tbb::expect(ModuleNames(pool).module(), pool.id);
  hook_none(pool);
}

void PoolPolicy::hook_none(const Pool& pool) {
  if (pool.scope == CW_SCOPE_NONE || !pool.runtime->set) {
    note(pool, Governed::kNone, "it cannot be set from here");
    return;
  }
  note(pool, Governed::kLimit).by_limit = GovernedPool::ByLimit::kAlways;
}

void PoolPolicy::add(const Pool& pool) {
  switch (pool.runtime->gate) {
    case GateKind::kOpenblas:
      return hook_openblas(pool);
    case GateKind::kLibgomp:
    case GateKind::kLlvm:
      return hook_openmp(pool);
    case GateKind::kTbb:
      return hook_tbb(pool);
    case GateKind::kNone:
      return hook_none(pool);
  }
}

std::vector<std::string> PoolPolicy::rewrite_got() {
  std::vector<std::string> left;
  for (const auto& entries : got_) {
    std::ranges::move(entries->rewrite(), std::back_inserter(left));
  }
  return left;
}

std::vector<std::string> PoolPolicy::restore_got() {
  std::vector<std::string> left;
  for (const auto& entries : got_) {
    std::ranges::move(entries->restore(), std::back_inserter(left));
  }
  return left;
}

bool PoolPolicy::rewrote_everywhere() const {
  return std::ranges::all_of(got_ | std::views::take(everywhere_),
                             [](const auto& entries) { return entries->is_complete(); });
}

std::vector<std::string> PoolPolicy::region_modules() const {
  const auto starts_region = [](std::string_view symbol) {
    return symbol.starts_with("GOMP_parallel") || symbol.starts_with("__kmpc_fork_call");
  };
  std::vector<std::string> paths;
  for (const auto& entries : got_) {
    for (std::string& path : entries->modules(starts_region)) {
      if (path.empty()) path = os::program_path();
      if (std::ranges::find(paths, path) == paths.end()) paths.push_back(std::move(path));
    }
  }
  return paths;
}

// A copy without our buffers has room for this many callers; no build has fewer places than 50.
void PoolPolicy::cap_teams() const {
  constexpr int kLeastSlots = 50;
  int most = kMaxBudget;
  for (const GovernedPool& governed : pools_) {
    const Pool& pool = pool_at(governed.pool);
    if (pool.runtime->gate != GateKind::kOpenblas || governed.served) continue;
    most = std::min(most, pool.caller_slots > 0 ? pool.caller_slots : kLeastSlots);
  }
  gate::cap_teams(most);
}

// For pools without a gate. Limits only those above the most, since a limit also raises.
void PoolPolicy::limit(GovernedPool& governed) {
  const Pool& pool = pool_at(governed.pool);
  const int cap = wanted_by(caps_, pool);
  int most = governed.by_limit == GovernedPool::ByLimit::kAlways ? most_ : kMaxBudget;
  if (cap != 0) most = std::min(most, cap);
  if (governed.by_limit == GovernedPool::ByLimit::kNever || governed.most == most) return;
  // A pool that the program has not used waits for a later pass, unless somebody asked for a cap.
  if (!pool.may_be_asked() && (cap == 0 || is_amid_call() || pool.hides_from_caller())) return;
  governed.most = most;
  if (governed.limit != nullptr) close_limits(*std::exchange(governed.limit, nullptr));
  if (pool.scope == CW_SCOPE_NONE || pool.ask_threads().value_or(0) <= most) return;
  auto opened = open_limits({{CW_MATCH_ID, {}, pool.id, most}}, CW_LIMITS_NOT_STICKY,
                            reinterpret_cast<std::uintptr_t>(this));
  if (!opened) {
    governed.how = Governed::kNone;
    governed.finding = governed.not_limited = opened.error().what;
    return;
  }
  governed.limit = std::move(*opened);
  if (pool.scope == CW_SCOPE_THREAD) {
    governed.finding =
        "only the thread that governs is limited: the library counts for each by itself";
  }
}

void PoolPolicy::obey() {
  for (GovernedPool& governed : pools_) {
    limit(governed);
    if (tbb::asks(governed.pool)) governed.how = Governed::kGate;
    const bool gate = governed.by_limit == GovernedPool::ByLimit::kNever;
    gate::cap_pool(governed.pool, gate ? wanted_by(caps_, pool_at(governed.pool)) : 0);
  }
  openblas::obey_caps();
}

std::vector<Capped> PoolPolicy::caps() const {
  std::vector<Capped> all;
  for (const GovernedPool& governed : pools_) {
    const Pool& pool = pool_at(governed.pool);
    const int most = wanted_by(caps_, pool);
    if (most == 0) continue;
    const bool gate =
        governed.by_limit == GovernedPool::ByLimit::kNever && governed.how != Governed::kNone;
    const bool settable = pool.scope == CW_SCOPE_PROCESS && static_cast<bool>(pool.runtime->set);
    std::string finding;
    if (!gate) finding = settable ? governed.not_limited : governed.finding;
    if (!gate && pool.scope == CW_SCOPE_THREAD) {
      finding = "each thread has a count of its own, which only that thread can set";
    }
    const bool by_thread = gate && pool.runtime->api == CW_API_OPENMP;
    all.push_back({governed.pool, most, gate, by_thread, std::move(finding)});
  }
  return all;
}

std::vector<Capped> PoolPolicy::with_caps(std::vector<Rule> caps, bool hooked) const {
  PoolPolicy tried;
  tried.caps_ = std::move(caps);
  if (hooked) {
    tried.pools_ = pools_;
    return tried.caps();
  }
  for (std::size_t id = 0; id < pool_count(); ++id) {
    const Pool& pool = pool_at(id);
    const GateKind gate = pool.runtime->gate;
    // oneTBB's permits bound the threads that it starts; a limit keeps its cap.
    if (gate == GateKind::kNone || gate == GateKind::kTbb) {
      tried.hook_none(pool);
    } else {
      tried.note(pool, Governed::kGate);
    }
  }
  return tried.caps();
}

void PoolPolicy::let_go() {
  for (const GovernedPool& governed : pools_) {
    gate::cap_pool(governed.pool, 0);
    if (governed.limit != nullptr) close_limits(*governed.limit);
  }
  pools_.clear();
  openmp_copies_ = 0;
}

}  // namespace corewise::govern
