#include "govern.h"

#include <algorithm>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "../discover.h"
#include "../json.h"
#include "../limit.h"
#include "../runtimes/table.h"
#include "arena.h"
#include "gate.h"
#include "gate_kmp.h"
#include "gate_libgomp.h"
#include "gate_openblas.h"
#include "hook_lock.h"
#include "ledger.h"
#include "loads.h"
#include "module_names.h"

namespace corewise::govern {
namespace {

// How a pool is kept inside the budget: "gate", "counted", "limit", "none"; and what is to be said
// about it.
struct Held {
  std::uint32_t pool = 0;
  const char* how = "none";
  std::string finding;
};

struct State {
  int users = 0;
  int budget = 0;
  std::string key;
  std::unique_ptr<Ledger> ledger;  // kept when nobody governs: a thread may be on its way with it
  Grants grants{};
  std::size_t pools_seen = 0;
  std::size_t openmp_copies = 0;
  std::vector<std::unique_ptr<Slots>> slots;
  std::vector<LimitsHandle> limits;
  std::vector<Held> held;
  std::vector<std::string> findings;
  const Resident* resident = nullptr;
  std::size_t told = 0;  // how much of it the resident knows
};

// Never destroyed: other threads may use it while the process exits.
State& state() {
  static auto* made = new State;
  return *made;
}

// Held over fork, and taken before every other lock of the core.
std::mutex& govern_lock() {
  static auto* lock = [] {
    // At a fork, what is registered first is taken last.
    synchronise();
    arena::remove();
    hook_lock();
    auto* made = new std::mutex;
    os::at_fork([] { govern_lock().lock(); }, [] { govern_lock().unlock(); },
                [] { govern_lock().unlock(); });
    return made;
  }();
  return *lock;
}

Permit acquire(void* self, int wanted) noexcept {
  const Grant grant = static_cast<Ledger*>(self)->acquire(wanted);
  return {grant.threads, grant.claim};
}

void release(void* self, const Permit& permit) noexcept {
  static_cast<Ledger*>(self)->release({permit.threads, permit.note});
}

void note(State& s, const Pool& pool, const char* how, std::string finding = {}) {
  s.held.push_back({pool.id, how, std::move(finding)});
}

void add_slots(State& s, std::vector<SlotRequest> requests) {
  if (!requests.empty()) s.slots.push_back(std::make_unique<Slots>(std::move(requests)));
}

void hook_openmp(State& s, const Pool& pool) {
  if (s.openmp_copies == libgomp::kMostCopies) {
    return note(s, pool, "none", "there are more OpenMP runtimes than can be told apart");
  }
  const ModuleNames names(pool);
  const libgomp::Symbol symbol = [&](const char* name) {
    return reinterpret_cast<void*>(names.exported(name).address);
  };
  std::vector<SlotRequest> requests = libgomp::slot_requests(s.openmp_copies, symbol);
  std::ranges::copy(kmp::slot_requests(s.openmp_copies, symbol), std::back_inserter(requests));
  if (requests.empty()) return note(s, pool, "none", "it lacks the functions that regions need");
  ++s.openmp_copies;
  add_slots(s, std::move(requests));
  note(s, pool, "gate");
}

void hook_openblas(State& s, const Pool& pool) {
  for (const arena::Copy& copy : arena::install()) {
    if (copy.base != pool.base) continue;
    if (!copy.served) return note(s, pool, "none", copy.reason);
    const openblas::Attached attached = openblas::attach(pool, copy);
    const char* how = !attached.governed ? "none" : attached.reason.empty() ? "gate" : "counted";
    return note(s, pool, how, attached.reason);
  }
  note(s, pool, "none", "its work buffers were not found");
}

// What has no gate. Only what is above the budget, since a limit also raises.
void hook_none(State& s, const Pool& pool) {
  if (pool.scope == CW_SCOPE_NONE || pool.runtime->set == nullptr) {
    return note(s, pool, "none", "it cannot be set from here");
  }
  if (pool.runtime->get(pool) <= s.budget) return note(s, pool, "limit");
  auto limits = open_limits({{CW_MATCH_ID, {}, pool.id, s.budget}}, CW_LIMITS_NOT_STICKY,
                            reinterpret_cast<std::uintptr_t>(&s));
  if (!limits) return note(s, pool, "none", limits.error().what);
  s.limits.push_back(std::move(*limits));
  note(s, pool, "limit",
       pool.scope == CW_SCOPE_THREAD
           ? "only the thread that governs is limited: the library counts for each by itself"
           : "");
}

struct Gate {
  const Runtime* runtime;
  void (*hook)(State& s, const Pool& pool);
};
constexpr Gate kGates[] = {{&kOpenblas, hook_openblas},
                           {&kLibgomp, hook_openmp},
                           {&kLibomp, hook_openmp},
                           {&kLibiomp, hook_openmp}};

// What report_json() says but for the counts.
void write_fields(Json& json, const State& s) {
  json.field("budget", s.budget);
  json.key("ledger").open('{');
  json.field("shared", s.ledger != nullptr && s.ledger->shared());
  json.field("path", s.ledger != nullptr ? s.ledger->path() : std::string());
  json.close('}');
  json.key("pools").open('[');
  for (const Held& held : s.held) {
    const Pool& pool = pool_at(held.pool);
    json.open('{').field("id", static_cast<std::uint64_t>(held.pool));
    json.field("runtime", pool.runtime->name).field("path", pool.path).field("how", held.how);
    json.field("finding", held.finding).close('}');
  }
  json.close(']').key("findings").open('[');
  for (const std::string& finding : s.findings) json.value(finding);
  json.close(']');
}

void hook_what_is_loaded(State& s) {
  synchronise();
  for (; s.pools_seen < pool_count(); ++s.pools_seen) {
    const Pool& pool = pool_at(s.pools_seen);
    const auto* gate = std::ranges::find(kGates, pool.runtime, &Gate::runtime);
    (gate != std::end(kGates) ? gate->hook : hook_none)(s, pool);
  }
  for (const auto& slots : s.slots) {
    for (std::string& left : slots->rewrite().left) s.findings.push_back(std::move(left));
  }
  const std::size_t to_tell = 1 + s.held.size() + s.findings.size();
  if (s.resident == nullptr || std::exchange(s.told, to_tell) == to_tell) return;
  Json json;
  write_fields(json, s);
  s.resident->told(json.text());
}

void look() { govern_new_modules(); }

void unhook_all(State& s) {
  loads::watch(nullptr);
  gate::open(nullptr);
  for (const auto& slots : s.slots) {
    for (std::string& left : slots->restore().left) s.findings.push_back(std::move(left));
  }
  for (std::string& left : openblas::detach_all()) s.findings.push_back(std::move(left));
  arena::listen(nullptr);
  for (arena::Copy& copy : arena::remove()) {
    if (!copy.reason.empty()) s.findings.push_back(std::move(copy.reason));
  }
  for (const LimitsHandle& limits : s.limits) close_limits(*limits);
  s.limits.clear();
  s.held.clear();
  s.pools_seen = 0;
  s.openmp_copies = 0;
}

}  // namespace

std::optional<Error> govern(const GovernOptions& options) {
  const std::lock_guard lock(govern_lock());
  State& s = state();
  const int budget = options.budget != 0 ? options.budget
                     : s.users > 0       ? s.budget
                                         : os::usable_cpus();
  if (budget < 1 || budget > kMaxBudget) {
    return Error{CW_BAD_COUNT, "a budget of " + std::to_string(budget) +
                                   " threads cannot be kept: give 1 to " +
                                   std::to_string(kMaxBudget)};
  }
  if (s.users > 0) {
    const bool same = budget == s.budget && (options.key.empty() || options.key == s.key);
    if (!same) {
      return Error{CW_BAD_ARGUMENT, "this process is governed already, with a budget of " +
                                        std::to_string(s.budget) + " threads" +
                                        (s.resident != nullptr ? std::string(" from its start")
                                                               : ": ungovern first")};
    }
    ++s.users;
    return std::nullopt;
  }
  if (options.resident != nullptr) s.resident = options.resident;
  s.findings.clear();
  if (s.resident != nullptr) s.findings = s.resident->findings;
  if (s.ledger == nullptr || s.key != options.key) {
    LedgerOptions shared;
    shared.key = options.key;
    shared.budget = budget;
    auto ledger = Ledger::open(shared);
    if (!ledger) return ledger.error();
    // An older one stays: a thread may still give a grant back to it.
    static_cast<void>(s.ledger.release());
    s.ledger = std::move(*ledger);
    s.key = options.key;
  }
  s.ledger->set_budget(budget);
  s.budget = budget;
  if (!s.ledger->finding().empty()) s.findings.push_back(s.ledger->finding());
  s.grants = {acquire, release, s.ledger.get()};

  // Slots of copies that were hooked before are found again by the same replacements.
  s.slots.clear();
  add_slots(s, openblas::slot_requests());
  add_slots(s, loads::slot_requests());
  if (s.resident != nullptr) add_slots(s, s.resident->slots);
  arena::listen(&openblas::listener());
  gate::open(&s.grants);
  hook_what_is_loaded(s);
  loads::watch(look);
  ++s.users;
  return std::nullopt;
}

void ungovern() {
  const std::lock_guard lock(govern_lock());
  State& s = state();
  if (s.users == 0 || (s.users == 1 && s.resident != nullptr) || --s.users > 0) return;
  unhook_all(s);
}

void govern_new_modules() {
  // Whoever holds it may wait for the loader, which our caller may hold.
  const std::unique_lock lock(govern_lock(), std::try_to_lock);
  if (lock.owns_lock() && state().users > 0) hook_what_is_loaded(state());
}

std::string report_json() {
  const std::lock_guard lock(govern_lock());
  const State& s = state();
  const gate::Counts counts = gate::counts();
  Json json;
  json.open('{').field("governed", s.users > 0);
  json.field("regions", counts.regions).field("calls", counts.calls);
  json.field("nested", counts.nested).field("granted", counts.granted);
  json.field("shortened", counts.shortened).field("withheld", counts.withheld);
  json.field("not_needed_s", counts.not_needed_s).field("abandoned", counts.abandoned);
  json.field("widest", counts.widest);
  write_fields(json, s);
  json.close('}');
  return json.text();
}

}  // namespace corewise::govern
