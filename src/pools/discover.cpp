#include "discover.h"

#include <atomic>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <tuple>
#include <utility>

#include "base/append_only.h"
#include "describe.h"
#include "os/fork.h"

namespace corewise {
namespace {

// A module is known by its place and its name: a place may be emptied, and another module take it.
using ModuleKey = std::tuple<std::uintptr_t, std::uintptr_t, std::string>;

ModuleKey key_of(const os::LoadedModule& module) {
  return {module.base, module.dynamic, module.name};
}

struct PoolRegistry {
  // Guards everything below except reads of the atomics.
  os::ForkLock& lock = os::fork_lock(os::ForkRank::kDiscovery);
  std::set<ModuleKey> seen;
  os::KnownModules known;  // a part of `seen` that need not be listed again
  // The newest list of modules that we compared `seen` with. Lists of several threads may arrive
  // out of order, and an old list must not make us forget what a newer one holds.
  std::uint64_t newest = 0;
  AppendOnly<std::atomic<Pool*>, kMostPools> pools;
  // Pools with more to tell that have not been asked.
  std::atomic<std::size_t> silent{0};
  std::vector<std::unique_ptr<Pool>> replaced;  // by fuller ones; others may still read them
  // adds + subs of the loader at the last listing: grows with every load and unload.
  std::atomic<std::uint64_t> listed_at{0};
};

// Never destroyed: other threads may use it while the process exits.
PoolRegistry& registry() {
  static PoolRegistry* const kState = [] {
    os::at_fork(os::ForkRank::kDiscovery,
                {os::hold_walks, os::release_walks, os::release_walks_in_child});
    return new PoolRegistry;
  }();
  return *kState;
}

// Made while the library loads, so that no fork finds half of its handlers.
[[maybe_unused]] const PoolRegistry& made_early = registry();

std::uint64_t stamp(const os::Generation& at) { return at.adds + at.subs; }

void forget_unloaded(PoolRegistry& r, const std::vector<os::LoadedModule>& loaded,
                     std::uint64_t subs) {
  std::set<ModuleKey> present;
  for (const os::LoadedModule& module : loaded) present.insert(key_of(module));
  std::erase_if(r.seen, [&](const ModuleKey& key) { return !present.contains(key); });
  r.known = {{}, subs};
  for (const os::LoadedModule& module : loaded) {
    if (r.seen.contains(key_of(module))) r.known.add(module);
  }
}

bool publish(PoolRegistry& r, std::unique_ptr<Pool> pool) {
  std::atomic<Pool*>* const next = r.pools.next();
  if (next == nullptr) return false;
  pool->id = static_cast<std::uint32_t>(r.pools.size());
  if (pool->runtime->ask) ++r.silent;
  next->store(pool.release(), std::memory_order_relaxed);
  r.pools.append();
  return true;
}

void ask(PoolRegistry& r, Pool& pool) {
  auto fuller = std::make_unique<Pool>(pool);
  fuller->asked = true;
  pool.runtime->ask(*fuller);
  const std::lock_guard guard(r.lock);
  if (r.pools[pool.id].load() != &pool) return;  // another thread has asked meanwhile
  r.replaced.emplace_back(&pool);
  r.pools[pool.id].store(fuller.release(), std::memory_order_release);
  --r.silent;
}

bool has_more_to_tell(const Pool& pool) { return pool.runtime->ask && !pool.asked; }

void ask_what_is_used_by_now(PoolRegistry& r) {
  for (std::size_t id = 0; r.silent.load() != 0 && id < pool_count(); ++id) {
    Pool& pool = pool_at(id);
    if (has_more_to_tell(pool) && pool.may_be_asked()) ask(r, pool);
  }
}

bool is_another_face(const Pool& pool) {
  for (std::size_t id = 0; pool.runtime->same && id < pool_count(); ++id) {
    const Pool& known = pool_at(id);
    if (known.runtime == pool.runtime && pool.runtime->same(pool, known).value_or(false)) {
      return true;
    }
  }
  return false;
}

bool find_new(PoolRegistry& r) {
  const std::uint64_t now = stamp(os::generation());
  if (now == r.listed_at.load(std::memory_order_acquire)) return false;

  os::KnownModules known;
  {
    const std::lock_guard guard(r.lock);
    known = r.known;
  }
  os::Generation at;
  const std::vector<os::LoadedModule> loaded = os::loaded_modules(at, known);
  const bool all = at.subs != known.subs;
  std::vector<const os::LoadedModule*> fresh;
  {
    const std::lock_guard guard(r.lock);
    for (const os::LoadedModule& module : loaded) {
      if (module.dynamic != 0 && !r.seen.contains(key_of(module))) fresh.push_back(&module);
    }
    if (stamp(at) > r.newest) {
      r.newest = stamp(at);
      if (all) forget_unloaded(r, loaded, at.subs);
    }
  }

  // Outside the lock: describe() may call into the libraries and wait for the loader. One after the
  // other: to see that two modules are faces of one pool, we must already know the first. Two
  // threads that describe one of them each at the same time list both.
  bool grew = false;
  for (const os::LoadedModule* module : fresh) {
    os::Held held(*module);
    if (!held) continue;
    std::unique_ptr<Pool> pool = describe(*module, held);
    if (pool != nullptr && is_another_face(*pool)) pool.reset();
    const std::lock_guard guard(r.lock);
    // Another thread may have described the same module meanwhile.
    if (!r.seen.insert(key_of(*module)).second) continue;
    if (at.subs == r.known.subs) r.known.add(*module);
    if (pool != nullptr) grew |= publish(r, std::move(pool));
  }
  const std::lock_guard guard(r.lock);
  if (stamp(at) > r.listed_at.load(std::memory_order_relaxed)) {
    r.listed_at.store(stamp(at), std::memory_order_release);
  }
  return grew;
}

}  // namespace

bool discover() {
  PoolRegistry& r = registry();
  const bool grew = find_new(r);
  ask_what_is_used_by_now(r);
  return grew;
}

Pool& pool_asked(std::size_t id) {
  if (Pool& pool = pool_at(id); has_more_to_tell(pool)) ask(registry(), pool);
  return pool_at(id);
}

std::size_t pool_count() { return registry().pools.size(); }

Pool& pool_at(std::size_t id) { return *registry().pools[id].load(std::memory_order_acquire); }

Pool* openmp_below(const Pool& pool, std::size_t count) {
  if (pool.counter == 0 || pool.runtime->api == CW_API_OPENMP) return nullptr;
  for (std::size_t id = 0; id < count; ++id) {
    Pool& other = pool_at(id);
    if (other.runtime->api == CW_API_OPENMP && other.counter == pool.counter) return &other;
  }
  return nullptr;
}

std::vector<os::LoadedModule> modules() {
  os::Generation at;
  return os::loaded_modules(at);
}

}  // namespace corewise
