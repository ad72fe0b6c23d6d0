#include "limit.h"

#include <algorithm>
#include <atomic>
#include <mutex>
#include <utility>

#include "discover.h"
#include "match.h"
#include "os/os.h"

namespace corewise {
namespace {

// What is known of a pool that limits have touched: for pools of process scope there is one, for
// pools of thread scope one for each thread.
struct Hold {
  bool held = false;
  int what = 0;      // what undoing needs, taken before the first set
  int baseline = 0;  // left by an abandoned limit where release() would lose it; 0 if none
};

// A thread that has opened limits. Guarded by World::lock but for `stale`.
struct ThreadState {
  std::vector<Hold> holds;
  std::size_t pools_seen = 0;
  std::atomic<bool> stale{false};  // another thread closed a limit of this one
};

thread_local std::shared_ptr<ThreadState> this_thread;

}  // namespace

class Limits {
 public:
  std::vector<Rule> rules;
  std::uint32_t flags = 0;
  std::uint64_t owner = 0;
  std::shared_ptr<ThreadState> thread;
  bool open = false;
  std::vector<int> wanted;  // by pool id, clamped to the ceiling; 0 where no rule speaks
  std::vector<Outcome> outcomes;

  int wants(std::size_t id) const { return id < wanted.size() ? wanted[id] : 0; }
};

namespace {

struct World {
  std::mutex lock;
  std::vector<LimitsHandle> open;       // in the order of opening
  std::vector<LimitsHandle> abandoned;  // for pools still to come; the latest wins
  std::vector<Hold> holds;              // pools of process scope, by id
  std::atomic<std::size_t> pools_seen{0};
  std::atomic<bool> forked{false};
};

World& world() {
  static World* const kWorld = [] {
    auto* made = new World;
    os::at_fork(
        [] {
          world().lock.lock();
          discover_lock();
        },
        [] {
          discover_unlock();
          world().lock.unlock();
        },
        [] {
          discover_unlock();
          world().forked.store(true);
          world().lock.unlock();
        });
    return made;
  }();
  return *kWorld;
}

// The pool whose count this one goes by: itself, or the OpenMP runtime that it shares it with.
Pool& counted_by(Pool& pool) {
  if (pool.counter == 0 || pool.runtime->api == CW_API_OPENMP) return pool;
  for (std::size_t id = 0; id < pool_count(); ++id) {
    Pool& other = pool_at(id);
    if (other.runtime->api == CW_API_OPENMP && other.counter == pool.counter) return other;
  }
  return pool;
}

bool settable(const Pool& pool) {
  return pool.scope != CW_SCOPE_NONE && pool.runtime->set != nullptr && pool.runtime->get != nullptr;
}

int threads_of(const Pool& pool) {
  return pool.runtime->get != nullptr ? pool.runtime->get(pool) : 0;
}

Hold& hold_of(World& w, ThreadState* thread, const Pool& pool) {
  std::vector<Hold>& holds = pool.scope == CW_SCOPE_THREAD ? thread->holds : w.holds;
  if (holds.size() <= pool.id) holds.resize(pool_count());
  return holds[pool.id];
}

bool reaches(const Limits& limits, const Pool& pool, const ThreadState* thread) {
  return limits.wants(pool.id) != 0 &&
         (pool.scope != CW_SCOPE_THREAD || limits.thread.get() == thread);
}

// The count that the open limits make of a pool: the tightest; 0 if none reaches it.
int in_force(const World& w, const Pool& pool, const ThreadState* thread) {
  int least = 0;
  for (std::size_t i = w.open.size(); i-- > 0;) {
    const Limits& limits = *w.open[i];
    if (!reaches(limits, pool, thread)) continue;
    const bool replaced =
        (limits.flags & CW_LIMITS_REPLACE) != 0 &&
        std::any_of(w.open.begin() + static_cast<std::ptrdiff_t>(i) + 1, w.open.end(),
                    [&](const LimitsHandle& later) {
                      return (later->flags & CW_LIMITS_REPLACE) != 0 &&
                             later->owner == limits.owner && reaches(*later, pool, thread);
                    });
    if (replaced) continue;
    const int threads = limits.wants(pool.id);
    least = least == 0 ? threads : std::min(least, threads);
  }
  return least;
}

// Makes the pool what the open limits say, or what it was before them. Setters cost, and grow
// pools, so equal counts are left alone.
void settle(World& w, ThreadState* thread, Pool& pool) {
  Hold& hold = hold_of(w, thread, pool);
  if (!hold.held) return;
  int threads = in_force(w, pool, thread);
  if (threads == 0) threads = hold.baseline;
  if (threads != 0) {
    if (pool.runtime->get(pool) != threads) pool.runtime->set(pool, threads);
    return;
  }
  if (pool.runtime->release != nullptr) {
    pool.runtime->release(pool, hold.what);
  } else if (pool.runtime->hold != nullptr || pool.runtime->get(pool) != hold.what) {
    pool.runtime->set(pool, hold.what);
  }
  hold.held = false;
}

// False if the library's getter answers nonsense, so that nothing could be restored.
bool take_hold(Hold& hold, Pool& pool) {
  if (hold.held) return true;
  const int now = pool.runtime->get(pool);
  if (now < 1) return false;
  hold.what = pool.runtime->hold != nullptr ? pool.runtime->hold(pool) : now;
  hold.held = true;
  return true;
}

// What an abandoned limit asked becomes what the pool has when no limit is open.
void leave_behind(World& w, ThreadState* thread, Pool& pool, int threads) {
  Hold& hold = hold_of(w, thread, pool);
  if (!take_hold(hold, pool)) return;
  (pool.runtime->release != nullptr ? hold.baseline : hold.what) = threads;
  settle(w, thread, pool);
}

const char* reason_for(const Pool& pool, const Outcome& outcome, int ruling) {
  if (outcome.effective == outcome.asked) return "";
  if (!settable(pool)) return pool.detail.empty() ? "cannot be set from here" : pool.detail.c_str();
  if (pool.ceiling > 0 && outcome.asked > pool.ceiling && outcome.effective == pool.ceiling) {
    return "lowered to the most it was built for";
  }
  if (ruling != 0 && ruling < outcome.asked) return "a tighter limit is open";
  return pool.detail.empty() ? "the library kept another count" : pool.detail.c_str();
}

// Fills limits.wanted for pools from `first` on. The outcome of each pool that a rule speaks for is
// begun; an Error (only without `clamp`) leaves limits as they were.
std::optional<Error> want(Limits& limits, std::size_t first, bool clamp) {
  const std::size_t count = pool_count();
  std::vector<int> wanted(limits.wanted);
  std::vector<Outcome> begun;
  wanted.resize(count);
  for (std::size_t id = first; id < count; ++id) {
    Pool& pool = pool_at(id);
    const int asked = wanted_by(limits.rules, pool);
    if (asked == 0) continue;
    begun.push_back({pool.id, threads_of(pool), asked, 0, ""});
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
    int& slot = wanted[counted_by(pool).id];
    slot = slot == 0 ? threads : std::min(slot, threads);
  }
  limits.outcomes.insert(limits.outcomes.end(), begun.begin(), begun.end());
  limits.wanted = std::move(wanted);
  return std::nullopt;
}

void read_back(World& w, Limits& limits, std::size_t first_outcome) {
  for (std::size_t i = first_outcome; i < limits.outcomes.size(); ++i) {
    Outcome& outcome = limits.outcomes[i];
    Pool& pool = pool_at(outcome.pool);
    outcome.effective = threads_of(pool);
    outcome.reason =
        reason_for(pool, outcome, in_force(w, counted_by(pool), limits.thread.get()));
  }
}

// After a fork only the thread that forked lives on; limits of the others can never be closed.
void drop_limits_of_dead_threads(World& w) {
  w.forked.store(false);
  std::erase_if(w.open, [](const LimitsHandle& limits) {
    const bool dead = limits->thread != this_thread;
    if (dead) limits->open = false;
    return dead;
  });
  for (std::size_t id = 0; id < w.holds.size(); ++id) {
    Pool& pool = pool_at(id);
    if (pool.scope == CW_SCOPE_PROCESS) settle(w, this_thread.get(), pool);
  }
}

// Lets limits reach pools that appeared since: those of process scope once for all, those of
// thread scope for this thread.
void welcome_pools(World& w) {
  const std::size_t count = pool_count();
  const std::size_t known = w.pools_seen.load();
  ThreadState* thread = this_thread.get();
  const auto extend = [&](Limits& limits) {
    if ((limits.flags & CW_LIMITS_NOT_STICKY) == 0 && limits.wanted.size() < count) {
      (void)want(limits, limits.wanted.size(), true);
    }
  };
  for (const LimitsHandle& limits : w.open) extend(*limits);
  for (const LimitsHandle& limits : w.abandoned) extend(*limits);

  const auto adopt = [&](Pool& pool) {
    for (const LimitsHandle& limits : w.abandoned) {
      if (reaches(*limits, pool, thread)) leave_behind(w, thread, pool, limits->wants(pool.id));
    }
    if (in_force(w, pool, thread) != 0 && take_hold(hold_of(w, thread, pool), pool)) {
      settle(w, thread, pool);
    }
  };
  for (std::size_t id = known; id < count; ++id) {
    if (pool_at(id).scope == CW_SCOPE_PROCESS) adopt(pool_at(id));
  }
  if (thread != nullptr) {
    for (std::size_t id = thread->pools_seen; id < count; ++id) {
      if (pool_at(id).scope == CW_SCOPE_THREAD) adopt(pool_at(id));
    }
    thread->pools_seen = count;
  }
  w.pools_seen.store(count);
  for (const LimitsHandle& limits : w.open) {
    std::size_t first = limits->outcomes.size();
    while (first > 0 && limits->outcomes[first - 1].pool >= known) --first;
    read_back(w, *limits, first);
  }
}

void settle_thread(World& w, ThreadState& thread) {
  thread.stale.store(false);
  for (std::size_t id = 0; id < thread.holds.size(); ++id) settle(w, &thread, pool_at(id));
}

}  // namespace

bool synchronise() {
  World& w = world();
  const bool grew = discover();
  ThreadState* thread = this_thread.get();
  const std::size_t count = pool_count();
  const bool news = w.pools_seen.load(std::memory_order_relaxed) != count ||
                    w.forked.load(std::memory_order_relaxed) ||
                    (thread != nullptr && (thread->stale.load(std::memory_order_relaxed) ||
                                           thread->pools_seen != count));
  if (!news) return grew;
  const std::lock_guard guard(w.lock);
  if (w.forked.load()) drop_limits_of_dead_threads(w);
  welcome_pools(w);
  if (thread != nullptr && thread->stale.load()) settle_thread(w, *thread);
  return grew;
}

Result<LimitsHandle> open_limits(std::vector<Rule> rules, std::uint32_t flags,
                                 std::uint64_t owner) {
  synchronise();
  if (auto error = settle_names(rules)) return *std::move(error);
  if (this_thread == nullptr) this_thread = std::make_shared<ThreadState>();
  auto limits = std::make_shared<Limits>();
  limits->rules = std::move(rules);
  limits->flags = flags;
  limits->thread = this_thread;
  limits->owner = owner != 0 ? owner : reinterpret_cast<std::uintptr_t>(this_thread.get());

  World& w = world();
  const std::lock_guard guard(w.lock);
  if (auto error = want(*limits, 0, (flags & CW_LIMITS_CLAMP) != 0)) return *std::move(error);
  // All that may fail comes before the first set.
  ThreadState* thread = this_thread.get();
  thread->pools_seen = pool_count();
  w.open.reserve(w.open.size() + 1);
  std::vector<Hold*> fresh;
  fresh.reserve(limits->wanted.size());
  for (std::size_t id = 0; id < limits->wanted.size(); ++id) {
    if (limits->wanted[id] != 0) (void)hold_of(w, thread, pool_at(id));
  }
  for (std::size_t id = 0; id < limits->wanted.size(); ++id) {
    if (limits->wanted[id] == 0) continue;
    Pool& pool = pool_at(id);
    Hold& hold = hold_of(w, thread, pool);
    if (hold.held) continue;
    if (!take_hold(hold, pool)) {
      for (Hold* taken : fresh) taken->held = false;
      return Error{CW_LIBRARY_LIED, pool.path + " (" + pool.prefix +
                                        ") says it has no threads, so a limit could not be "
                                        "undone; nothing was changed"};
    }
    fresh.push_back(&hold);
  }
  limits->open = true;
  w.open.push_back(limits);
  for (std::size_t id = 0; id < limits->wanted.size(); ++id) {
    if (limits->wanted[id] != 0) settle(w, thread, pool_at(id));
  }
  read_back(w, *limits, 0);
  return limits;
}

std::size_t close_limits(Limits& limits) {
  World& w = world();
  const std::lock_guard guard(w.lock);
  if (!limits.open) return 0;
  limits.open = false;
  std::erase_if(w.open, [&](const LimitsHandle& other) { return other.get() == &limits; });
  std::size_t pending = 0;
  ThreadState* mine = this_thread.get();
  for (std::size_t id = 0; id < limits.wanted.size(); ++id) {
    if (limits.wanted[id] == 0) continue;
    Pool& pool = pool_at(id);
    if (pool.scope == CW_SCOPE_THREAD && limits.thread.get() != mine) {
      limits.thread->stale.store(true);
      ++pending;
    } else {
      settle(w, mine, pool);
    }
  }
  return pending;
}

void abandon_limits(Limits& limits) {
  World& w = world();
  const std::lock_guard guard(w.lock);
  if (!limits.open) return;
  limits.open = false;
  const auto self = std::find_if(w.open.begin(), w.open.end(), [&](const LimitsHandle& other) {
    return other.get() == &limits;
  });
  const LimitsHandle handle = *self;
  w.open.erase(self);
  for (std::size_t id = 0; id < limits.wanted.size(); ++id) {
    if (limits.wanted[id] == 0) continue;
    Pool& pool = pool_at(id);
    if (pool.scope == CW_SCOPE_THREAD && limits.thread != this_thread) {
      // Only its own thread can settle it; the count stays as it is until then.
      Hold& hold = hold_of(w, limits.thread.get(), pool);
      (pool.runtime->release != nullptr ? hold.baseline : hold.what) = limits.wanted[id];
      limits.thread->stale.store(true);
    } else {
      leave_behind(w, this_thread.get(), pool, limits.wanted[id]);
    }
  }
  // An older one whose every rule is repeated here has nothing left to say.
  std::erase_if(w.abandoned, [&](const LimitsHandle& older) {
    return older->thread == limits.thread &&
           std::all_of(older->rules.begin(), older->rules.end(), [&](const Rule& rule) {
             return std::any_of(limits.rules.begin(), limits.rules.end(), [&](const Rule& mine) {
               return mine.match == rule.match && mine.name == rule.name && mine.id == rule.id;
             });
           });
  });
  w.abandoned.push_back(handle);
}

std::vector<Outcome> outcomes(const Limits& limits) {
  const std::lock_guard guard(world().lock);
  return limits.outcomes;
}

}  // namespace corewise
