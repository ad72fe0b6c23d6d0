#include "discover.h"

#include <array>
#include <atomic>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <tuple>
#include <utility>

#include "describe.h"

namespace corewise {
namespace {

// A module is known by where it is and by its name: a place may be emptied and taken by another.
using ModuleKey = std::tuple<std::uintptr_t, std::uintptr_t, std::string>;

ModuleKey key_of(const os::LoadedModule& module) {
  return {module.base, module.dynamic, module.name};
}

struct State {
  std::mutex lock;  // guards everything below but the atomics' readers
  std::set<ModuleKey> seen;
  os::KnownModules known;  // a part of `seen` that need not be listed again
  // The newest list of modules that `seen` was held against. Lists of several threads may arrive
  // out of order, and an old one must not forget what a newer one holds.
  std::uint64_t newest = 0;
  std::array<std::atomic<Pool*>, kMostPools> pools{};
  std::atomic<std::size_t> count{0};
  // Pools with more to tell that have not been asked.
  std::atomic<std::size_t> silent{0};
  std::vector<std::unique_ptr<Pool>> replaced;  // by fuller ones; others may still read them
  // adds + subs of the loader when it was last looked at: grows with every load and unload.
  std::atomic<std::uint64_t> looked_at{0};
};

// Never destroyed: other threads may use it while the process exits.
State& state() {
  static State* const kState = new State;
  return *kState;
}

std::uint64_t stamp(const os::Generation& at) { return at.adds + at.subs; }

void forget_unloaded(State& s, const std::vector<os::LoadedModule>& loaded, std::uint64_t subs) {
  std::set<ModuleKey> present;
  for (const os::LoadedModule& module : loaded) present.insert(key_of(module));
  std::erase_if(s.seen, [&](const ModuleKey& key) { return !present.contains(key); });
  s.known = {{}, subs};
  for (const os::LoadedModule& module : loaded) {
    if (s.seen.contains(key_of(module))) s.known.add(module);
  }
}

bool publish(State& s, std::unique_ptr<Pool> pool) {
  const std::size_t id = s.count.load(std::memory_order_relaxed);
  if (id == kMostPools) return false;
  pool->id = static_cast<std::uint32_t>(id);
  if (pool->runtime->ask) ++s.silent;
  s.pools[id].store(pool.release(), std::memory_order_release);
  s.count.store(id + 1, std::memory_order_release);
  return true;
}

void ask(State& s, Pool& pool) {
  auto fuller = std::make_unique<Pool>(pool);
  fuller->asked = true;
  pool.runtime->ask(*fuller);
  const std::lock_guard guard(s.lock);
  if (s.pools[pool.id].load() != &pool) return;  // another thread has asked meanwhile
  s.replaced.emplace_back(&pool);
  s.pools[pool.id].store(fuller.release(), std::memory_order_release);
  --s.silent;
}

bool has_more_to_tell(const Pool& pool) { return pool.runtime->ask && !pool.asked; }

void ask_what_is_used_by_now(State& s) {
  for (std::size_t id = 0; s.silent.load() != 0 && id < pool_count(); ++id) {
    Pool& pool = pool_at(id);
    if (has_more_to_tell(pool) && pool.may_be_asked()) ask(s, pool);
  }
}

bool find_new(State& s) {
  const std::uint64_t now = stamp(os::generation());
  if (now == s.looked_at.load(std::memory_order_acquire)) return false;

  os::KnownModules known;
  {
    const std::lock_guard guard(s.lock);
    known = s.known;
  }
  os::Generation at;
  const std::vector<os::LoadedModule> loaded = os::loaded_modules(at, known);
  const bool all = at.subs != known.subs;
  std::vector<const os::LoadedModule*> fresh;
  {
    const std::lock_guard guard(s.lock);
    for (const os::LoadedModule& module : loaded) {
      if (module.dynamic != 0 && !s.seen.contains(key_of(module))) fresh.push_back(&module);
    }
    if (stamp(at) > s.newest) {
      s.newest = stamp(at);
      if (all) forget_unloaded(s, loaded, at.subs);
    }
  }

  // Outside the lock: describing may call into the libraries and wait for the loader. One at a
  // time, since telling two faces of one pool apart needs the first to be known.
  bool grew = false;
  for (const os::LoadedModule* module : fresh) {
    os::Held held(*module);
    if (!held) continue;
    std::unique_ptr<Pool> pool = describe(*module, held);
    const std::lock_guard guard(s.lock);
    // Another thread may have described the same module meanwhile.
    if (!s.seen.insert(key_of(*module)).second) continue;
    if (at.subs == s.known.subs) s.known.add(*module);
    if (pool != nullptr) grew |= publish(s, std::move(pool));
  }
  const std::lock_guard guard(s.lock);
  if (stamp(at) > s.looked_at.load(std::memory_order_relaxed)) {
    s.looked_at.store(stamp(at), std::memory_order_release);
  }
  return grew;
}

}  // namespace

bool discover() {
  State& s = state();
  const bool grew = find_new(s);
  ask_what_is_used_by_now(s);
  return grew;
}

Pool& pool_asked(std::size_t id) {
  if (Pool& pool = pool_at(id); has_more_to_tell(pool)) ask(state(), pool);
  return pool_at(id);
}

std::size_t pool_count() { return state().count.load(std::memory_order_acquire); }

Pool& pool_at(std::size_t id) { return *state().pools[id].load(std::memory_order_acquire); }

std::vector<os::LoadedModule> modules() {
  os::Generation at;
  return os::loaded_modules(at);
}

void discover_lock() {
  state().lock.lock();
  os::hold_walks();
}

void discover_unlock() {
  os::release_walks();
  state().lock.unlock();
}

void discover_unlock_in_child() {
  os::release_walks_in_child();
  state().lock.unlock();
}

}  // namespace corewise
