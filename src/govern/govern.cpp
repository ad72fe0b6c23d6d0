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
#include "../match.h"
#include "../runtimes/table.h"
#include "arena.h"
#include "gate.h"
#include "gate_kmp.h"
#include "gate_libgomp.h"
#include "gate_openblas.h"
#include "hook_lock.h"
#include "idle_pools.h"
#include "ledger.h"
#include "loads.h"
#include "module_names.h"
#include "own_budget.h"

namespace corewise::govern {
namespace {

// How a pool is kept inside the budget: "gate", "counted", "limit", "none"; and what is to be said
// about it.
struct Held {
  std::uint32_t pool = 0;
  const char* how = "none";
  std::string finding;
  bool served = false;  // by the arena
  // Kept inside by a limit: never, if a cap speaks for it, or always.
  enum class ByLimit { kNever, kCap, kAlways } by_limit = ByLimit::kNever;
  int most = 0;  // that the limit was last held to
  LimitsHandle limit = nullptr;
  std::string not_limited;  // why it could not be
};

// Never destroyed: a thread may be on its way with it.
struct Shared {
  std::string key;
  std::unique_ptr<Ledger> ledger;
  Grants grants{};
};

struct State {
  int users = 0;
  GovernOptions options;
  Budget found;
  int budget = 0;
  Shared* shared = nullptr;  // null until somebody governs for the first time
  std::size_t pools_seen = 0;
  std::size_t openmp_copies = 0;
  std::vector<std::unique_ptr<Slots>> slots;
  std::vector<Held> held;
  std::vector<Rule> caps;
  int most = kMaxBudget;  // for pools without a gate: the budget while somebody governs
  std::vector<std::string> findings;
  const Resident* resident = nullptr;
  std::string told;  // to it
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
    idle_pools::remove();
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

// For a process that is only capped.
Permit grant_all(void*, int wanted) noexcept { return {wanted, 0}; }
void take_nothing_back(void*, const Permit&) noexcept {}
constexpr Grants kUnbounded = {grant_all, take_nothing_back, nullptr};

Held& note(State& s, const Pool& pool, const char* how, std::string finding = {}) {
  Held& held = s.held.emplace_back();
  held.pool = pool.id;
  held.how = how;
  held.finding = std::move(finding);
  return held;
}

// Once, however often it is met.
void say(State& s, std::string finding) {
  if (finding.empty() || std::ranges::find(s.findings, finding) != s.findings.end()) return;
  s.findings.push_back(std::move(finding));
}

void add_slots(State& s, std::vector<SlotRequest> requests) {
  if (!requests.empty()) s.slots.push_back(std::make_unique<Slots>(std::move(requests)));
}

void hook_openmp(State& s, const Pool& pool) {
  if (s.openmp_copies == libgomp::kMostCopies) {
    note(s, pool, "none", "there are more OpenMP runtimes than can be told apart");
    return;
  }
  const ModuleNames names(pool);
  const libgomp::Symbol symbol = [&](const char* name) {
    return reinterpret_cast<void*>(names.exported(name).address);
  };
  std::vector<SlotRequest> requests = libgomp::slot_requests(s.openmp_copies, pool.id, symbol);
  std::ranges::copy(kmp::slot_requests(s.openmp_copies, pool.id, symbol),
                    std::back_inserter(requests));
  if (requests.empty()) {
    note(s, pool, "none", "it lacks the functions that regions need");
    return;
  }
  ++s.openmp_copies;
  add_slots(s, std::move(requests));
  note(s, pool, "gate");
}

void hook_openblas(State& s, const Pool& pool) {
  for (const arena::Copy& copy : arena::install()) {
    if (copy.base != pool.base) continue;
    if (!copy.served) {
      note(s, pool, "none", copy.reason).by_limit = Held::ByLimit::kCap;
      return;
    }
    const openblas::Attached attached = openblas::attach(pool, copy);
    const char* how = !attached.governed ? "none" : attached.reason.empty() ? "gate" : "counted";
    Held& held = note(s, pool, how, attached.reason);
    held.served = true;
    // Over OpenMP its calls are narrowed also where the program's own view of them is not kept.
    const bool narrowed = attached.governed && (attached.reason.empty() || pool.layer == "openmp");
    if (!narrowed) held.by_limit = Held::ByLimit::kCap;
    return;
  }
  note(s, pool, "none", "its work buffers were not found").by_limit = Held::ByLimit::kCap;
}

// Every thread of a team may call a copy at the same time, and one that the arena does not serve
// has so many buffers. The least that any build has is 50.
void cap_teams(const State& s) {
  constexpr int kLeastSlots = 50;
  int most = kMaxBudget;
  for (const Held& held : s.held) {
    const Pool& pool = pool_at(held.pool);
    if (pool.runtime != &kOpenblas || held.served) continue;
    most = std::min(most, pool.caller_slots > 0 ? pool.caller_slots : kLeastSlots);
  }
  gate::cap_teams(most);
}

void hook_none(State& s, const Pool& pool) {
  if (pool.scope == CW_SCOPE_NONE || pool.runtime->set == nullptr) {
    note(s, pool, "none", "it cannot be set from here");
    return;
  }
  note(s, pool, "limit").by_limit = Held::ByLimit::kAlways;
}

// What has no gate. Only what is above the most, since a limit also raises.
void limit(State& s, Held& held) {
  const Pool& pool = pool_at(held.pool);
  const int cap = wanted_by(s.caps, pool);
  int most = held.by_limit == Held::ByLimit::kAlways ? s.most : kMaxBudget;
  if (cap != 0) most = std::min(most, cap);
  if (held.by_limit == Held::ByLimit::kNever || held.most == most) return;
  held.most = most;
  if (held.limit != nullptr) close_limits(*std::exchange(held.limit, nullptr));
  if (pool.scope == CW_SCOPE_NONE || pool.runtime->get(pool) <= most) return;
  auto opened = open_limits({{CW_MATCH_ID, {}, pool.id, most}}, CW_LIMITS_NOT_STICKY,
                            reinterpret_cast<std::uintptr_t>(&s));
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

// All that caps and the budget say to the pools that are held.
void hold_to_limits(State& s) {
  for (Held& held : s.held) {
    limit(s, held);
    const bool gate = held.by_limit == Held::ByLimit::kNever;
    gate::cap_pool(held.pool, gate ? wanted_by(s.caps, pool_at(held.pool)) : 0);
  }
  openblas::obey_caps();
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
  json.field("shared", s.shared != nullptr && s.shared->ledger->shared());
  json.field("path", s.shared != nullptr ? s.shared->ledger->path() : std::string());
  json.field("key", s.shared != nullptr ? s.shared->key : std::string());
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

void tell(State& s) {
  if (s.resident == nullptr) return;
  Json json;
  write_fields(json, s);
  if (json.text() == s.told) return;
  s.told = json.text();
  s.resident->told(s.told);
}

void hook_what_is_loaded(State& s) {
  synchronise();
  for (; s.pools_seen < pool_count(); ++s.pools_seen) {
    const Pool& pool = pool_at(s.pools_seen);
    const auto* gate = std::ranges::find(kGates, pool.runtime, &Gate::runtime);
    (gate != std::end(kGates) ? gate->hook : hook_none)(s, pool);
  }
  for (const auto& slots : s.slots) {
    for (std::string& left : slots->rewrite().left) say(s, std::move(left));
  }
  for (std::string& left : idle_pools::install().left) say(s, std::move(left));
  cap_teams(s);
  hold_to_limits(s);
  tell(s);
}

void look() { govern_new_modules(); }

Error refuse_budget(std::string why) { return {CW_BAD_COUNT, std::move(why)}; }

std::optional<Error> open_ledger(State& s, const OwnBudget& own) {
  const std::string& key = s.options.key.empty() ? own.name : s.options.key;
  if (s.shared == nullptr || s.shared->key != key) {
    LedgerOptions wanted;
    wanted.key = key;
    wanted.budget = own.threads;
    auto ledger = Ledger::open(wanted);
    if (!ledger) return ledger.error();
    auto* shared = new Shared{key, std::move(*ledger), {}};
    shared->grants = {acquire, release, shared->ledger.get()};
    s.shared = shared;
  }
  s.budget = own.threads;
  s.shared->ledger->set_budget(own.threads);
  return std::nullopt;
}

// Reads the machine, and opens the ledger of what it says.
std::optional<Error> find_budget(State& s) {
  const int asked = s.options.budget;
  if (asked < 0 || asked > kMaxBudget) {
    return refuse_budget("a budget of " + std::to_string(asked) +
                         " threads cannot be kept: give 1 to " + std::to_string(kMaxBudget));
  }
  const os::LiveMachine machine;
  const bool capped = asked != 0 && !s.options.overcommit;
  auto found = compute_budget(machine, capped ? std::optional<double>(asked) : std::nullopt);
  if (!found) return refuse_budget(found.error().what);
  OwnBudget own = own_budget(*found, machine);
  if (asked != 0 && s.options.overcommit) {
    own = {asked, own.name + ", overcommitted to " + std::to_string(asked)};
  }
  if (auto error = open_ledger(s, own)) return error;
  s.found = std::move(*found);
  for (const std::string& finding : s.found.findings) say(s, finding);
  say(s, s.shared->ledger->finding());
  return std::nullopt;
}

void unhook_all(State& s) {
  loads::watch(nullptr);
  gate::open(nullptr);
  for (const auto& slots : s.slots) {
    for (std::string& left : slots->restore().left) say(s, std::move(left));
  }
  for (std::string& left : openblas::detach_all()) say(s, std::move(left));
  arena::listen(nullptr);
  for (arena::Copy& copy : arena::remove()) {
    say(s, std::move(copy.reason));
  }
  for (std::string& left : idle_pools::remove().left) say(s, std::move(left));
  for (const Held& held : s.held) {
    gate::cap_pool(held.pool, 0);
    if (held.limit != nullptr) close_limits(*held.limit);
  }
  s.held.clear();
  s.pools_seen = 0;
  s.openmp_copies = 0;
}

// `most`: for pools without a gate.
void hook_all(State& s, const Grants& grants, int most) {
  s.most = most;
  // Slots of copies that were hooked before are found again by the same replacements.
  s.slots.clear();
  add_slots(s, openblas::slot_requests());
  add_slots(s, loads::slot_requests());
  if (s.resident != nullptr) add_slots(s, s.resident->slots);
  arena::listen(&openblas::listener());
  gate::open(&grants);
  hook_what_is_loaded(s);
  loads::watch(look);
}

bool is_hooked(const State& s) { return s.users > 0 || !s.caps.empty(); }

std::vector<Capped> caps_of(const State& s) {
  std::vector<Capped> all;
  for (const Held& held : s.held) {
    const Pool& pool = pool_at(held.pool);
    const int most = wanted_by(s.caps, pool);
    if (most == 0) continue;
    const bool gate = held.by_limit == Held::ByLimit::kNever && held.how != std::string("none");
    const bool settable = pool.scope == CW_SCOPE_PROCESS && pool.runtime->set != nullptr;
    std::string finding;
    if (!gate) finding = settable ? held.not_limited : held.finding;
    if (!gate && pool.scope == CW_SCOPE_THREAD) {
      finding = "each thread has a count of its own, which only that thread can set";
    }
    all.push_back({held.pool, most, gate, std::move(finding)});
  }
  return all;
}

}  // namespace

std::optional<Error> govern(const GovernOptions& options) {
  const std::lock_guard lock(govern_lock());
  State& s = state();
  if (s.users > 0) {
    GovernOptions asked = options;
    if (asked.budget == s.budget && !asked.overcommit) asked.budget = 0;
    if (asked.repeats(s.options)) {
      ++s.users;
      return std::nullopt;
    }
    return Error{CW_BAD_ARGUMENT,
                 "this process is governed already, with a budget of " + std::to_string(s.budget) +
                     " threads" +
                     (s.resident != nullptr ? std::string(" from its start") : ": ungovern first")};
  }
  s.findings.clear();
  s.options = options;
  if (options.resident != nullptr) s.resident = options.resident;
  if (auto error = find_budget(s)) return error;
  if (is_hooked(s)) unhook_all(s);
  hook_all(s, s.shared->grants, s.budget);
  ++s.users;
  return std::nullopt;
}

void ungovern() {
  const std::lock_guard lock(govern_lock());
  State& s = state();
  const int kept = s.resident != nullptr ? 1 : 0;
  if (s.users <= kept) return;
  --s.users;
  if (s.users > 0) return;
  unhook_all(s);
  if (is_hooked(s)) hook_all(s, kUnbounded, kMaxBudget);
}

Result<std::vector<Capped>> cap(std::vector<Rule> rules) {
  const std::lock_guard lock(govern_lock());
  State& s = state();
  synchronise();
  if (auto error = settle_names(rules)) return *std::move(error);
  const bool was_hooked = is_hooked(s);
  s.caps = std::move(rules);
  if (is_hooked(s) != was_hooked) {
    was_hooked ? unhook_all(s) : hook_all(s, kUnbounded, kMaxBudget);
  } else if (was_hooked) {
    hook_what_is_loaded(s);
  }
  return caps_of(s);
}

Result<std::vector<Capped>> try_cap(std::vector<Rule> rules) {
  const std::lock_guard lock(govern_lock());
  State tried;
  synchronise();
  if (auto error = settle_names(rules)) return *std::move(error);
  tried.caps = std::move(rules);
  if (is_hooked(state())) {
    for (const Held& held : state().held) tried.held.push_back(held);
    return caps_of(tried);
  }
  for (std::size_t id = 0; id < pool_count(); ++id) {
    const Pool& pool = pool_at(id);
    if (std::ranges::find(kGates, pool.runtime, &Gate::runtime) == std::end(kGates)) {
      hook_none(tried, pool);
    } else {
      note(tried, pool, "gate");
    }
  }
  return caps_of(tried);
}

std::vector<Capped> caps() {
  const std::lock_guard lock(govern_lock());
  return caps_of(state());
}

bool is_governed() {
  const std::lock_guard lock(govern_lock());
  return state().users > 0;
}

std::optional<LedgerSnapshot> ledger_now() {
  const std::lock_guard lock(govern_lock());
  const State& s = state();
  if (s.users == 0 || s.shared == nullptr) return std::nullopt;
  return s.shared->ledger->snapshot();
}

void govern_new_modules() {
  // Whoever holds it may wait for the loader, which our caller may hold.
  const std::unique_lock lock(govern_lock(), std::try_to_lock);
  State& s = state();
  if (!lock.owns_lock() || !is_hooked(s)) return;
  hook_what_is_loaded(s);
  if (s.users == 0 || !budget_changed(s.found, os::LiveMachine())) return;
  // A budget that cannot be kept any more leaves the one before.
  if (find_budget(s)) return;
  s.most = s.budget;
  gate::open(&s.shared->grants);
  hold_to_limits(s);
  tell(s);
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
