#include "limit.h"

#include <algorithm>
#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

#include "match.h"
#include "os/fork.h"
#include "os/os.h"
#include "os/threads.h"
#include "pools/discover.h"

namespace corewise {
namespace {

// What limits know of a pool that they have touched: one for a pool of process scope, one for each
// thread for a pool of thread scope.
struct Hold {
  bool held = false;
  int what = 0;      // what undoing needs, read before the first set
  int baseline = 0;  // left by an abandoned limit where release() would lose it; 0 if none
};

// A thread that has opened limits. World::lock guards all but the atomics.
struct LimitsOfThread {
  std::vector<Hold> holds;
  std::size_t pools_seen = 0;
  std::atomic<bool> stale{false};  // another thread closed a limit of this one
  std::atomic<bool> ended{false};  // nothing can be set for this thread any more
};

using ThreadHandle = std::shared_ptr<LimitsOfThread>;

// A raw pointer, since destructors of the thread's other objects may come here.
thread_local ThreadHandle* this_handle = nullptr;

void forget_this_thread() {
  if (this_handle == nullptr) return;
  (*this_handle)->ended.store(true);
  delete std::exchange(this_handle, nullptr);
}

LimitsOfThread* this_thread() { return this_handle != nullptr ? this_handle->get() : nullptr; }

const ThreadHandle& this_thread_made() {
  if (this_handle == nullptr) {
    auto made = std::make_unique<ThreadHandle>(std::make_shared<LimitsOfThread>());
    os::at_thread_exit(forget_this_thread);
    this_handle = made.release();
  }
  return *this_handle;
}

}  // namespace

class Limits {
 public:
  std::vector<Rule> rules;
  std::uint32_t flags = 0;
  std::uint64_t owner = 0;
  ThreadHandle thread;
  bool open = false;
  std::vector<int> wanted;  // by pool id, clamped to the ceiling; 0 if no rule matches
  std::vector<bool> left;   // by pool id, once abandoned: the pool has got the count to keep
  std::vector<Outcome> outcomes;

  int wants(std::size_t id) const { return id < wanted.size() ? wanted[id] : 0; }
};

namespace {

struct World {
  os::ForkLock& lock = os::fork_lock(os::ForkRank::kLimits);
  std::vector<LimitsHandle> open;       // in the order of opening
  std::vector<LimitsHandle> abandoned;  // for pools still to come; the latest wins
  std::vector<Hold> holds;              // pools of process scope, by id
  std::atomic<std::size_t> pools_seen{0};
  std::atomic<bool> forked{false};
  LimitsOfThread* survivor = nullptr;  // the thread that forked, in the child
};

World& world() {
  static World* const kWorld = [] {
    auto* made = new World;
    const auto in_child = [] {
      world().survivor = this_thread();
      world().forked.store(true);
    };
    os::at_fork(os::ForkRank::kLimits, {.in_child = in_child});
    return made;
  }();
  return *kWorld;
}

// Made while the library loads: if another thread forked in the middle of the first use, the child
// would wait for it for ever.
[[maybe_unused]] const World& made_early = world();

// The pool whose count this one uses: itself, or the OpenMP runtime that it shares its count with.
Pool& counted_by(Pool& pool, std::size_t count = pool_count()) {
  Pool* const below = openmp_below(pool, count);
  return below != nullptr ? *below : pool;
}

bool settable(const Pool& pool) {
  return pool.scope != CW_SCOPE_NONE && pool.runtime->set && pool.runtime->get;
}

// Makes room for all pools, so that later steps need no memory.
void make_room(World& w, LimitsOfThread* thread, std::size_t pools) {
  if (w.holds.size() < pools) w.holds.resize(pools);
  if (thread != nullptr && thread->holds.size() < pools) thread->holds.resize(pools);
}

// Null if nothing was ever held.
Hold* hold_of(World& w, LimitsOfThread* thread, const Pool& pool) {
  if (pool.scope == CW_SCOPE_THREAD && thread == nullptr) return nullptr;
  std::vector<Hold>& holds = pool.scope == CW_SCOPE_THREAD ? thread->holds : w.holds;
  return pool.id < holds.size() ? &holds[pool.id] : nullptr;
}

bool reaches(const Limits& limits, const Pool& pool, const LimitsOfThread* thread) {
  return limits.wants(pool.id) != 0 &&
         (pool.scope != CW_SCOPE_THREAD || limits.thread.get() == thread);
}

// The count that the open limits give the pool: the tightest; 0 if none reaches it.
int in_force(const World& w, const Pool& pool, const LimitsOfThread* thread) {
  int least = 0;
  for (std::size_t i = w.open.size(); i-- > 0;) {
    const Limits& limits = *w.open[i];
    if (!reaches(limits, pool, thread)) continue;
    const bool replaced = (limits.flags & CW_LIMITS_REPLACE) != 0 &&
                          std::any_of(w.open.begin() + static_cast<std::ptrdiff_t>(i) + 1,
                                      w.open.end(), [&](const LimitsHandle& later) {
                                        return (later->flags & CW_LIMITS_REPLACE) != 0 &&
                                               later->owner == limits.owner &&
                                               reaches(*later, pool, thread);
                                      });
    if (replaced) continue;
    const int threads = limits.wants(pool.id);
    least = least == 0 ? threads : std::min(least, threads);
  }
  return least;
}

constinit std::atomic<const CountListener*> count_listener{nullptr};

const CountListener* listener_for(const Pool& pool) {
  return pool.scope == CW_SCOPE_THREAD ? count_listener.load(std::memory_order_acquire) : nullptr;
}

// Setters are costly and grow pools, so we do not set an equal count again. But if the getter tells
// what is in force rather than what was set (MKL, oneTBB), only a set makes the count stay.
void set_to(Pool& pool, int threads) {
  const bool tells = !pool.runtime->hold && !pool.runtime->release;
  if (!tells || pool.ask_threads() != threads) pool.runtime->set(pool, threads);
}

// Gives the pool the count that the open limits say, or the one that it had before them.
void settle(World& w, LimitsOfThread* thread, Pool& pool) {
  Hold* hold = hold_of(w, thread, pool);
  if (hold == nullptr || !hold->held) return;
  if (const CountListener* told = listener_for(pool)) told->set(pool);
  int threads = in_force(w, pool, thread);
  if (threads == 0) threads = hold->baseline;
  if (threads != 0) {
    set_to(pool, threads);
    return;
  }
  if (!pool.runtime->release(pool, hold->what)) set_to(pool, hold->what);
  hold->held = false;
}

// False if the library's getter answers nonsense: we could not restore the count.
bool take_hold(Hold& hold, Pool& pool) {
  if (hold.held) return true;
  const std::optional<int> now = pool.ask_threads();
  if (!now) return false;
  const CountListener* const told = listener_for(pool);
  const int own = told != nullptr ? told->own(pool, *now) : *now;
  hold.what = pool.runtime->hold(pool).value_or(own);
  hold.held = true;
  return true;
}

// The count of an abandoned limit becomes what the pool has when no limit is open.
void leave_behind(World& w, LimitsOfThread* thread, Pool& pool, int threads) {
  Hold* hold = hold_of(w, thread, pool);
  if (hold == nullptr || !take_hold(*hold, pool)) return;
  (pool.runtime->release ? hold->baseline : hold->what) = threads;
  settle(w, thread, pool);
}

const char* reason_for(const Limits& limits, Pool& pool, const Outcome& outcome, int ruling) {
  if (outcome.effective == outcome.asked) return "";
  if (!settable(pool)) return pool.detail.empty() ? "cannot be set from here" : pool.detail.c_str();
  if (pool.ceiling > 0 && outcome.asked > pool.ceiling && outcome.effective == pool.ceiling) {
    return "lowered to the most it was built for";
  }
  const int own = limits.wants(counted_by(pool).id);
  if (own != 0 && own < outcome.asked && outcome.effective == own) {
    return "shares its count with a pool that this limit gives fewer";
  }
  if (ruling != 0 && ruling < outcome.asked) return "a tighter limit is open";
  return pool.detail.empty() ? "the library kept another count" : pool.detail.c_str();
}

bool here(const Limits& limits, const Pool& pool) {
  return pool.scope != CW_SCOPE_THREAD || limits.thread.get() == this_thread();
}

// Fills limits.wanted for pools from `first` to `count`, and begins the outcome of each pool that a
// rule matches. An Error (only without `clamp`) leaves limits as they were.
std::optional<Error> want(Limits& limits, std::size_t first, std::size_t count, bool clamp) {
  std::vector<int> wanted(limits.wanted);
  std::vector<Outcome> outcomes(limits.outcomes);
  wanted.resize(count);
  limits.left.resize(count);
  for (std::size_t id = first; id < count; ++id) {
    Pool& pool = pool_at(id);
    const int asked = wanted_by(limits.rules, pool);
    if (asked == 0) continue;
    outcomes.push_back({pool.id, here(limits, pool) ? pool.ask_threads().value_or(0) : 0, asked, 0,
                        "waits for the thread that opened the limit", false});
    if (!settable(pool)) continue;
    int threads = asked;
    if (pool.ceiling > 0 && asked > pool.ceiling) {
      if (!clamp) {
        return Error{CW_ABOVE_CEILING, pool.path + " (" + pool.prefix + ") was built for at most " +
                                           std::to_string(pool.ceiling) + " threads, not " +
                                           std::to_string(asked) + ": ask for fewer"};
      }
      threads = pool.ceiling;
    }
    // An OpenMP runtime that has come since is welcomed later.
    int& tightest = wanted[counted_by(pool, count).id];
    tightest = tightest == 0 ? threads : std::min(tightest, threads);
  }
  limits.outcomes = std::move(outcomes);
  limits.wanted = std::move(wanted);
  return std::nullopt;
}

// Completes the outcomes that this thread can read.
void read_back(World& w, Limits& limits) {
  for (Outcome& outcome : limits.outcomes) {
    Pool& pool = pool_at(outcome.pool);
    if (outcome.read || !here(limits, pool)) continue;
    outcome.read = true;
    outcome.effective = pool.ask_threads().value_or(0);
    outcome.reason =
        reason_for(limits, pool, outcome, in_force(w, counted_by(pool), limits.thread.get()));
  }
}

// After a fork only the forking thread lives on; nobody can ever close the limits of the others.
void drop_limits_of_dead_threads(World& w) {
  w.forked.store(false);
  std::erase_if(w.open, [&](const LimitsHandle& limits) {
    const bool dead = limits->thread.get() != w.survivor;
    if (dead) {
      limits->open = false;
      limits->thread->ended.store(true);
    }
    return dead;
  });
  for (std::size_t id = 0; id < w.holds.size(); ++id) settle(w, nullptr, pool_at(id));
}

// Applies limits to pools that appeared since the limits were opened.
void welcome_pools(World& w) {
  const std::size_t count = pool_count();
  LimitsOfThread* thread = this_thread();
  make_room(w, thread, count);
  for (const auto* list : {&w.open, &w.abandoned}) {
    for (const LimitsHandle& limits : *list) {
      if ((limits->flags & CW_LIMITS_NOT_STICKY) == 0 && limits->wanted.size() < count) {
        (void)want(*limits, limits->wanted.size(), count, true);
      }
    }
  }
  for (const LimitsHandle& limits : w.open) {
    for (Outcome& outcome : limits->outcomes) {
      const Pool& pool = pool_at(outcome.pool);
      if (!outcome.read && here(*limits, pool)) outcome.before = pool.ask_threads().value_or(0);
    }
  }
  // All pools, not just the new ones: a new one may share the count of one already known.
  for (std::size_t id = 0; id < count; ++id) {
    Pool& pool = pool_at(id);
    for (const LimitsHandle& limits : w.abandoned) {
      if (!reaches(*limits, pool, thread) || limits->left[id]) continue;
      limits->left[id] = true;
      leave_behind(w, thread, pool, limits->wants(id));
    }
    if (in_force(w, pool, thread) == 0) continue;
    Hold* hold = hold_of(w, thread, pool);
    if (hold != nullptr && take_hold(*hold, pool)) settle(w, thread, pool);
  }
  for (const LimitsHandle& limits : w.open) read_back(w, *limits);
  if (thread != nullptr) thread->pools_seen = count;
  w.pools_seen.store(count);
}

void settle_thread(World& w, LimitsOfThread& thread) {
  thread.stale.store(false);
  for (std::size_t id = 0; id < thread.holds.size(); ++id) {
    if (pool_at(id).scope == CW_SCOPE_THREAD) settle(w, &thread, pool_at(id));
  }
}

bool news(const World& w) {
  const std::size_t count = pool_count();
  const LimitsOfThread* thread = this_thread();
  return w.pools_seen.load(std::memory_order_relaxed) != count ||
         w.forked.load(std::memory_order_relaxed) ||
         (thread != nullptr &&
          (thread->stale.load(std::memory_order_relaxed) || thread->pools_seen != count));
}

// With the lock held.
void take_news(World& w) {
  if (w.forked.load()) drop_limits_of_dead_threads(w);
  welcome_pools(w);
  LimitsOfThread* thread = this_thread();
  if (thread != nullptr && thread->stale.load()) settle_thread(w, *thread);
}

bool covers(const std::vector<Rule>& rules, const Rule& rule) {
  return std::any_of(rules.begin(), rules.end(), [&](const Rule& mine) {
    return mine.match == rule.match && mine.name == rule.name && mine.id == rule.id;
  });
}

// The caller must hold no lock: libraries load others at their first call.
void ask_what_is_wanted(const std::vector<Rule>& rules, std::size_t first) {
  for (std::size_t id = first; id < pool_count(); ++id) {
    if (wanted_by(rules, pool_at(id)) != 0) static_cast<void>(pool_asked(id));
  }
}

}  // namespace

void catch_up() {
  World& w = world();
  if (!news(w)) return;
  const std::lock_guard guard(w.lock);
  take_news(w);
}

namespace {

// Open limits set the pools that arrive, and setting a pool needs everything that it can tell.
void ask_what_limits_reach() {
  World& w = world();
  const std::size_t first = w.pools_seen.load();
  if (first == pool_count()) return;
  std::vector<Rule> rules;
  {
    const std::lock_guard guard(w.lock);
    for (const auto* list : {&w.open, &w.abandoned}) {
      for (const LimitsHandle& limits : *list) {
        if ((limits->flags & CW_LIMITS_NOT_STICKY) != 0) continue;
        rules.insert(rules.end(), limits->rules.begin(), limits->rules.end());
      }
    }
  }
  ask_what_is_wanted(rules, first);
}

}  // namespace

bool synchronise() {
  const bool grew = discover();
  ask_what_limits_reach();
  catch_up();
  return grew;
}

Result<LimitsHandle> open_limits(std::vector<Rule> rules, std::uint32_t flags,
                                 std::uint64_t owner) {
  synchronise();
  if (auto error = resolve_names(rules, discovered_pools())) return *std::move(error);
  ask_what_is_wanted(rules, 0);
  const ThreadHandle& mine = this_thread_made();
  LimitsOfThread* thread = mine.get();
  auto limits = std::make_shared<Limits>();
  limits->rules = std::move(rules);
  limits->flags = flags;
  limits->thread = mine;
  limits->owner = owner != 0 ? owner : reinterpret_cast<std::uintptr_t>(thread);

  World& w = world();
  const std::lock_guard guard(w.lock);
  // Applies the limits already open to pools that another thread found meanwhile.
  if (news(w)) take_news(w);
  if (auto error = want(*limits, 0, w.pools_seen.load(), (flags & CW_LIMITS_CLAMP) != 0)) {
    return *std::move(error);
  }
  // Everything that may fail comes before the first set.
  w.open.reserve(w.open.size() + 1);
  std::vector<Hold*> fresh;
  fresh.reserve(limits->wanted.size());
  for (std::size_t id = 0; id < limits->wanted.size(); ++id) {
    if (limits->wanted[id] == 0) continue;
    Pool& pool = pool_at(id);
    Hold* hold = hold_of(w, thread, pool);
    if (hold->held) continue;
    if (!take_hold(*hold, pool)) {
      for (Hold* taken : fresh) taken->held = false;
      return Error{CW_LIBRARY_LIED, pool.path + " (" + pool.prefix +
                                        ") says it has no threads, so a limit could not be "
                                        "undone; nothing was changed"};
    }
    fresh.push_back(hold);
  }
  limits->open = true;
  w.open.push_back(limits);
  for (std::size_t id = 0; id < limits->wanted.size(); ++id) {
    if (limits->wanted[id] != 0) settle(w, thread, pool_at(id));
  }
  read_back(w, *limits);
  return limits;
}

std::size_t close_limits(Limits& limits) {
  World& w = world();
  const std::lock_guard guard(w.lock);
  if (!limits.open) return 0;
  limits.open = false;
  std::erase_if(w.open, [&](const LimitsHandle& other) { return other.get() == &limits; });
  std::size_t pending = 0;
  for (std::size_t id = 0; id < limits.wanted.size(); ++id) {
    if (limits.wanted[id] == 0) continue;
    Pool& pool = pool_at(id);
    if (here(limits, pool)) {
      settle(w, this_thread(), pool);
    } else if (!limits.thread->ended.load()) {
      limits.thread->stale.store(true);
      ++pending;
    }
  }
  return pending;
}

void abandon_limits(Limits& limits) {
  World& w = world();
  const std::lock_guard guard(w.lock);
  if (!limits.open) return;
  w.abandoned.reserve(w.abandoned.size() + 1);
  limits.open = false;
  const auto self = std::find_if(w.open.begin(), w.open.end(),
                                 [&](const LimitsHandle& other) { return other.get() == &limits; });
  LimitsHandle handle = std::move(*self);
  w.open.erase(self);
  for (std::size_t id = 0; id < limits.wanted.size(); ++id) {
    if (limits.wanted[id] == 0) continue;
    Pool& pool = pool_at(id);
    if (here(limits, pool)) {
      limits.left[id] = true;
      leave_behind(w, this_thread(), pool, limits.wanted[id]);
      continue;
    }
    // Only its own thread can settle it; the count stays as it is until then.
    Hold* hold = hold_of(w, limits.thread.get(), pool);
    if (hold == nullptr || !hold->held) continue;
    limits.left[id] = true;
    (pool.runtime->release ? hold->baseline : hold->what) = limits.wanted[id];
    limits.thread->stale.store(true);
  }
  // Drop an older one if these limits repeat its every rule, and its thread is the same or has
  // ended.
  std::erase_if(w.abandoned, [&](const LimitsHandle& older) {
    return (older->thread == limits.thread || older->thread->ended.load()) &&
           std::all_of(older->rules.begin(), older->rules.end(),
                       [&](const Rule& rule) { return covers(limits.rules, rule); });
  });
  if ((limits.flags & CW_LIMITS_NOT_STICKY) == 0) w.abandoned.push_back(std::move(handle));
}

std::vector<Outcome> outcomes(const Limits& limits) {
  const std::lock_guard guard(world().lock);
  return limits.outcomes;
}

void listen_to_counts(const CountListener* listener) {
  count_listener.store(listener, std::memory_order_release);
}

bool limits_in_force() {
  World& w = world();
  const std::lock_guard guard(w.lock);
  return !w.open.empty() || !w.abandoned.empty();
}

std::vector<int> limited_counts() {
  World& w = world();
  const LimitsOfThread* const thread = this_thread();
  const std::lock_guard guard(w.lock);
  std::vector<int> counts(pool_count());
  for (std::size_t id = 0; id < counts.size(); ++id) {
    counts[id] = in_force(w, counted_by(pool_at(id)), thread);
  }
  return counts;
}

}  // namespace corewise
