#include "govern.h"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/json.h"
#include "base/text.h"
#include "budget/thread_binding.h"
#include "govern/gates/gate_openblas.h"
#include "govern/gates/gate_tbb.h"
#include "govern/grants/gate.h"
#include "govern/grants/granter.h"
#include "govern/grants/try_grants.h"
#include "govern/openblas_buffers/openblas_buffers.h"
#include "govern/patch/exchange.h"
#include "govern/patch/filters.h"
#include "govern/patch/loads.h"
#include "govern/spinning/idle_pools.h"
#include "govern/spinning/waiting.h"
#include "govern/teams/bends.h"
#include "govern/teams/thread_caps.h"
#include "os/confined.h"
#include "os/fork.h"
#include "os/os.h"
#include "own_budget.h"
#include "pool_policy.h"
#include "pools/discover.h"

namespace corewise::govern {
namespace {

// A program loads hundreds of libraries in its first second, and a budget takes seven files.
constexpr std::uint64_t kBudgetMs = 250;

struct Governor {
  int users = 0;
  GovernOptions options;
  Budget found;
  int budget = 0;
  std::uint64_t budget_read_ms = 0;
  Granter* granter = nullptr;      // null until somebody governs for the first time
  std::vector<Granter*> granters;  // every one that was ever opened
  const Grants* tried = nullptr;   // asked in place of the granter
  std::size_t pools_seen = 0;
  PoolPolicy policy;
  std::vector<std::string> findings;
  const Resident* resident = nullptr;
  std::string told;  // what it was told last
};

// Never destroyed: other threads may use it while the process exits.
Governor& governor() {
  static auto* made = new Governor;
  return *made;
}

// The one lock of ours whose holder may ask a library and wait for the loader: what is loaded must
// be hooked by one thread at a time, and before it is used. So where our caller may hold the
// loader, we only try to take it (refresh_after_load), and what can be asked before is asked
// before. A library whose constructor forks, or calls functions of this file, can still meet a
// holder that waits.
os::ForkLock& govern_lock() { return os::fork_lock(os::ForkRank::kGovern); }

// Whom we told something with the lock held, how often, and how often it has acted on that.
constinit std::atomic<const Resident*> told_to{nullptr};
constinit std::atomic<std::uint32_t> times_told{0};
constinit std::atomic<std::uint32_t> times_acted{0};

// Called without the lock. False: come again.
bool act_on_what_was_told(bool may_wait) noexcept {
  const std::uint32_t told = times_told.load();
  if (told == times_acted.load()) return true;
  if (!told_to.load()->after_told(may_wait)) return false;
  times_acted.store(told);
  return true;
}

// The lock, for calls that may tell the resident something.
class TellingLock {
 public:
  TellingLock() { govern_lock().lock(); }
  TellingLock(const TellingLock&) = delete;
  TellingLock& operator=(const TellingLock&) = delete;
  ~TellingLock() {
    govern_lock().unlock();
    act_on_what_was_told(true);
  }
};

// For a process that is only capped.
Grant grant_all(void*, const GrantRequest& request) noexcept { return {.threads = request.wanted}; }
void take_nothing_back(void*, const Grant&) noexcept {}
constexpr Grants kUnbounded = {grant_all, take_nothing_back, nullptr};

// The budget that holds now: the process's own, or one that somebody chose for its whole group.
int budget_now(const Governor& g) {
  const bool chosen = g.granter != nullptr && g.granter->ledger().has_chosen_budget();
  return chosen ? g.granter->bounded() : g.budget;
}

// Of it, what other users leave.
int most_now(const Governor& g) {
  MachineShare* const machine = g.granter != nullptr ? g.granter->machine() : nullptr;
  return machine != nullptr ? std::min(budget_now(g), machine->most(now_ms())) : budget_now(g);
}

// Keeps a finding once, however often it comes up.
void say(Governor& g, std::string finding) {
  if (finding.empty() || std::ranges::find(g.findings, finding) != g.findings.end()) return;
  g.findings.push_back(std::move(finding));
}

// What report_json() says except for the counts. Leaves the list of findings open.
void write_fields(Json& json, const Governor& g) {
  json.field("budget", budget_now(g));
  json.key("ledger").open('{');
  json.field("shared", g.granter != nullptr && g.granter->ledger().shared());
  json.field("budget", g.granter != nullptr ? g.granter->ledger().budget() : 0);
  json.field("path", g.granter != nullptr ? g.granter->ledger().path() : std::string());
  json.field("key", g.granter != nullptr ? g.granter->key() : std::string());
  json.close('}');
  json.key("pools").open('[');
  for (const GovernedPool& governed : g.policy.pools()) {
    const Pool& pool = pool_at(governed.pool);
    json.open('{').field("id", static_cast<std::uint64_t>(governed.pool));
    json.field("runtime", pool.runtime->name)
        .field("path", pool.path)
        .field("how", name_of(governed.how));
    json.field("finding", governed.finding).close('}');
  }
  json.close(']').key("bending").open('[');
  for (const Bending& bending : bending_now()) {
    json.open('{').field("path", bending.path).field("why", bending.why);
    json.array("names", bending.names).close('}');
  }
  json.close(']').array("unmatched_bends", unmatched_bends());
  json.array("region_modules", g.policy.region_modules()).key("findings").open('[');
  for (const std::string& finding : g.findings) json.value(finding);
}

// The user's part of the machine; null if it is not shared.
void write_machine(Json& json, const Governor& g) {
  MachineShare* const machine = g.granter != nullptr ? g.granter->machine() : nullptr;
  json.key("machine");
  if (machine == nullptr) {
    json.null();
    return;
  }
  write_part(json, machine->standing(now_ms()));
}

void tell(Governor& g) {
  if (g.resident == nullptr) return;
  Json json;
  write_fields(json, g);
  json.close(']');
  if (json.text() == g.told) return;
  g.told = json.text();
  g.resident->told(g.told);
  told_to.store(g.resident);
  times_told.fetch_add(1);
}

void hook_pass(Governor& g) {
  const KeptMappings mappings;
  synchronise();
  for (; g.pools_seen < pool_count(); ++g.pools_seen) g.policy.add(pool_at(g.pools_seen));
  find_bending();
  for (std::string& left : g.policy.rewrite_got()) say(g, std::move(left));
  for (std::string& left : idle_pools::install()) say(g, std::move(left));
  g.policy.cap_teams();
  g.policy.obey();
}

void hook_what_is_loaded(Governor& g) {
  // A thread that loads a library meanwhile sees the lock taken and skips its own pass.
  constexpr int kPasses = 3;
  for (int pass = 0; pass < kPasses; ++pass) {
    const os::Generation before = os::generation();
    hook_pass(g);
    if (os::generation() == before) break;
  }
  filters::are_seen(g.policy.rewrote_everywhere());
  tell(g);
}

Error refuse_budget(std::string why) { return {CW_BAD_COUNT, std::move(why)}; }

// Among the processes of the ledger that want more than is free.
int own_weight(Governor& g) {
  const std::string_view text = os::variable("COREWISE_WEIGHT").value_or("");
  if (text.empty()) return kUsualWeight;
  if (const auto weight = parse_weight(text)) return *weight;
  say(g, "COREWISE_WEIGHT holds " + quote(text) + ", which is not a whole number from 1 to " +
             std::to_string(kMostWeight) + "; it was ignored.");
  return kUsualWeight;
}

// Whether this process shares the machine with other users.
bool shares_machine(Governor& g) {
  const std::string_view asked = os::variable("COREWISE_SHARE").value_or("");
  if (asked == kShareMachine) return !g.options.overcommit;
  if (!asked.empty() && !is_share(asked)) {
    say(g, "COREWISE_SHARE holds " + quote(asked) +
               ", which is neither \"machine\" nor \"user\"; it was ignored.");
  }
  return false;
}

// A program may go back and forth between two masks: each ledger is opened once.
Result<Granter*> granter_of(Governor& g, const std::string& key, int budget) {
  const auto known = std::ranges::find(g.granters, key, &Granter::key);
  if (known != g.granters.end()) return *known;
  auto granter = Granter::open(key, budget);
  if (granter) g.granters.push_back(*granter);
  return granter;
}

std::optional<Error> open_ledger(Governor& g, const OwnBudget& own, bool narrowed) {
  const std::string& key = g.options.key.empty() ? own.name : g.options.key;
  const auto granter = granter_of(g, key, own.together);
  if (!granter) return granter.error();
  g.granter = *granter;
  g.granter->ledger().set_weight(own_weight(g));
  const long online = g.options.overcommit ? 0 : ::sysconf(_SC_NPROCESSORS_ONLN);
  const int cpus = static_cast<int>(std::max(0L, online));
  g.granter->share_machine(cpus);
  say(g, g.granter->share_with_users(shares_machine(g) ? cpus : 0));
  // Ranks that cannot see each other lend nothing.
  const bool lends = own.lends() && g.granter->ledger().shared();
  g.granter->bound(lends ? own.threads : 1, lends ? own.most : own.threads, own.hard);
  g.budget = own.threads;
  // When one member of a group is pinned, the others keep their budget.
  if (!narrowed || g.options.key.empty()) g.granter->ledger().set_budget(own.together);
  return std::nullopt;
}

std::optional<Error> find_tried(Governor& g) {
  g.tried = nullptr;
  const std::string_view asked = os::variable("COREWISE_TRY_GRANTS").value_or("");
  if (asked.empty()) return std::nullopt;
  auto tried = try_grants(asked);
  if (!tried) return tried.error();
  g.tried = *tried;
  return std::nullopt;
}

const Grants* grants_of(const Governor& g) {
  return g.tried != nullptr ? g.tried : g.granter->grants();
}

// Reads the machine and opens the ledger for it.
std::optional<Error> find_budget(Governor& g) {
  const int asked = g.options.budget;
  if (asked < 0 || asked > kMaxBudget) {
    return refuse_budget("a budget of " + std::to_string(asked) +
                         " threads cannot be kept: give 1 to " + std::to_string(kMaxBudget));
  }
  const OwnMachine machine;
  // Read before the budget is computed, so that a change meanwhile is seen as a change.
  const os::MainThreadMask mask = os::main_thread_mask();
  const bool capped = asked != 0 && !g.options.overcommit;
  auto found = compute_budget(machine, capped ? std::optional<double>(asked) : std::nullopt);
  if (!found) return refuse_budget(found.error().what);
  OwnBudget own = own_budget(*found, machine);
  if (asked != 0 && g.options.overcommit) {
    own = {asked, asked, asked, asked, own.name + ", overcommitted to " + std::to_string(asked)};
  }
  const bool narrowed = g.users > 0 && found->allowed != g.found.allowed;
  if (auto error = open_ledger(g, own, narrowed)) return error;
  g.granter->mask().expect(mask, thread_binding::may_bind(machine));
  g.found = std::move(*found);
  for (const std::string& finding : g.found.findings) say(g, finding);
  say(g, g.granter->ledger().finding());
  return std::nullopt;
}

void unhook_all(Governor& g) {
  const KeptMappings mappings;
  loads::set(loads::Stage::kGovernor, nullptr);
  filters::are_seen(false);
  gate::open(nullptr);
  for (std::string& left : g.policy.restore_got()) say(g, std::move(left));
  for (std::string& left : openblas::detach_all()) say(g, std::move(left));
  openblas_buffers::listen(nullptr);
  for (openblas_buffers::CopyReport& copy : openblas_buffers::remove()) {
    say(g, std::move(copy.reason));
  }
  waiting::give_back();
  for (std::string& left : idle_pools::remove()) say(g, std::move(left));
  g.policy.let_go();
  g.pools_seen = 0;
}

bool is_hooked(const Governor& g) {
  return g.users > 0 || g.policy.has_caps() || thread_caps::in_use();
}

// Checks whether the budget is still the same, unless the last check is less than `unless_ms` old.
// A changed mask is always seen.
void follow_budget(Governor& g, std::uint64_t unless_ms) {
  if (g.users == 0 || os::is_confined()) return;
  g.granter->mask().reread();
  const std::uint64_t now = now_ms();
  // Pools with a gate have followed already.
  if (const int most = most_now(g); g.policy.most() != most) {
    g.policy.set_most(most);
    g.policy.obey();
    tell(g);
  }
  const bool stale = g.granter->mask().is_stale();
  if (!stale && now - g.budget_read_ms < unless_ms) return;
  g.budget_read_ms = now;
  if (!stale && !budget_changed(g.found, OwnMachine())) return;
  // If the new budget cannot be kept, the old one stays.
  if (find_budget(g)) return;
  g.policy.set_most(most_now(g));
  gate::open(grants_of(g));
  g.policy.obey();
  tell(g);
}

// Hooks the modules loaded since, and checks the budget unless the last check is less than
// `budget_ms` old. False: another thread is at it.
bool refresh(std::uint64_t budget_ms) {
  // The holder may wait for the loader, which our caller may hold.
  const std::unique_lock lock(govern_lock(), std::try_to_lock);
  Governor& g = governor();
  if (!lock.owns_lock()) return false;
  if (!is_hooked(g)) return true;
  const std::size_t before = g.pools_seen;
  hook_what_is_loaded(g);
  // A new runtime may have bound the main thread.
  follow_budget(g, g.pools_seen != before ? 0 : budget_ms);
  return true;
}

// Our caller may hold the loader, for which a thread may wait that holds one of our locks. So
// unless somebody asked for it, this waits for none of them.
bool refresh_after_load(bool asked) {
  return refresh(asked ? 0 : kBudgetMs) && act_on_what_was_told(asked);
}

// Because somebody asked for it, and not because something was loaded.
void hook_now(Governor& g) {
  hook_what_is_loaded(g);
  loads::run_after(loads::Stage::kGovernor);
}

// `most`: for pools without a gate.
void hook_all(Governor& g, const Grants* grants, int most) {
  g.policy.set_most(most);
  openblas::begin(most);
  g.policy.begin({openblas::got_requests(), loads::got_requests(), filters::got_requests(),
                  g.resident != nullptr ? g.resident->requests : std::vector<GotRequest>()});
  openblas_buffers::listen(&openblas::listener());
  gate::open(grants);
  tbb::offer_permits();
  loads::set(loads::Stage::kGovernor, refresh_after_load);
  hook_now(g);
}

}  // namespace

std::optional<Error> govern(const GovernOptions& options) {
  if (os::is_filter_fatal()) {
    return Error{
        CW_NOT_PERMITTED,
        "the filter (seccomp) that this process was started under would kill it for a system "
        "call that governing makes: it stays ungoverned"};
  }
  os::keep_watching();
  // A libgomp that is loaded tells whether it bound the main thread.
  synchronise();
  const TellingLock lock;
  Governor& g = governor();
  if (g.users > 0) {
    GovernOptions asked = options;
    if (asked.budget == g.budget && !asked.overcommit) asked.budget = 0;
    if (asked.repeats(g.options)) {
      ++g.users;
      return std::nullopt;
    }
    return Error{CW_BAD_ARGUMENT,
                 "this process is governed already, with a budget of " +
                     counted(g.budget, "thread") +
                     (g.resident != nullptr ? std::string(" from its start") : ": ungovern first")};
  }
  g.findings.clear();
  g.options = options;
  if (auto error = find_budget(g)) return error;
  if (auto error = find_tried(g)) return error;
  // Not before: a resident that could not govern must not keep the process from doing so itself.
  if (options.resident != nullptr) g.resident = options.resident;
  if (is_hooked(g)) unhook_all(g);
  hook_all(g, grants_of(g), most_now(g));
  ++g.users;
  return std::nullopt;
}

void ungovern() {
  const TellingLock lock;
  Governor& g = governor();
  const int kept = g.resident != nullptr ? 1 : 0;
  if (g.users <= kept) return;
  --g.users;
  if (g.users > 0) return;
  unhook_all(g);
  if (is_hooked(g)) hook_all(g, &kUnbounded, kMaxBudget);
}

Result<std::vector<Capped>> cap(std::vector<Rule> rules) {
  synchronise();
  const TellingLock lock;
  Governor& g = governor();
  if (auto error = resolve_names(rules, discovered_pools())) return *std::move(error);
  const bool was_hooked = is_hooked(g);
  g.policy.set_caps(std::move(rules));
  if (is_hooked(g) != was_hooked) {
    was_hooked ? unhook_all(g) : hook_all(g, &kUnbounded, kMaxBudget);
  } else if (was_hooked) {
    hook_now(g);
  }
  return g.policy.caps();
}

Result<std::vector<Capped>> try_cap(std::vector<Rule> rules) {
  synchronise();
  const std::lock_guard lock(govern_lock());
  const Governor& g = governor();
  if (auto error = resolve_names(rules, discovered_pools())) return *std::move(error);
  return g.policy.with_caps(std::move(rules), is_hooked(g));
}

std::vector<Capped> caps() {
  const std::lock_guard lock(govern_lock());
  return governor().policy.caps();
}

bool is_governed() {
  const std::lock_guard lock(govern_lock());
  return governor().users > 0;
}

std::vector<std::uint32_t> governed_pools() {
  const std::lock_guard lock(govern_lock());
  const Governor& g = governor();
  std::vector<std::uint32_t> pools;
  if (g.users == 0) return pools;
  for (const GovernedPool& governed : g.policy.pools()) {
    if (governed.has_gate()) pools.push_back(governed.pool);
  }
  return pools;
}

std::optional<LedgerSnapshot> ledger_now() {
  // Who takes a sample calls this with a lock of its own held. The resident acts on what it is told
  // here after a later call, or the next load.
  const std::lock_guard lock(govern_lock());
  Governor& g = governor();
  if (g.users == 0 || g.granter == nullptr) return std::nullopt;
  follow_budget(g, kBudgetMs);
  return g.granter->ledger().snapshot();
}

std::string report_json() {
  const TellingLock lock;
  Governor& g = governor();
  follow_budget(g, 0);
  const gate::Tally tally = gate::tally();
  Json json;
  json.open('{').field("governed", g.users > 0);
  for (const gate::TallyRow& row : gate::kTally) gate::write(json, row, tally);
  write_machine(json, g);
  write_fields(json, g);
  for (const std::string& name : unmatched_bends()) json.value(unmatched_finding(name));
  json.close(']').close('}');
  return json.text();
}

}  // namespace corewise::govern
