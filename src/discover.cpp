#include "discover.h"

#include <array>
#include <atomic>
#include <memory>
#include <mutex>
#include <set>
#include <utility>

#include "describe.h"

namespace corewise {
namespace {

// A module is known by where it is: a path may be loaded, unloaded and replaced.
using Place = std::pair<std::uintptr_t, std::uintptr_t>;

struct State {
  std::mutex lock;  // guards everything below but the atomics' readers
  std::set<Place> seen;
  std::array<std::atomic<Pool*>, kMostPools> pools{};
  std::atomic<std::size_t> count{0};
  // adds + subs of the loader when it was last looked at: grows with every load and unload.
  std::atomic<std::uint64_t> looked_at{0};
};

// Never destroyed: other threads may use it while the process exits.
State& state() {
  static State* const kState = new State;
  return *kState;
}

std::uint64_t stamp(const os::Generation& at) { return at.adds + at.subs; }

bool publish(State& s, std::unique_ptr<Pool> pool) {
  const std::size_t id = s.count.load(std::memory_order_relaxed);
  if (id == kMostPools) return false;
  pool->id = static_cast<std::uint32_t>(id);
  s.pools[id].store(pool.release(), std::memory_order_release);
  s.count.store(id + 1, std::memory_order_release);
  return true;
}

}  // namespace

bool discover() {
  State& s = state();
  const std::uint64_t now = stamp(os::generation());
  if (now == s.looked_at.load(std::memory_order_acquire)) return false;

  os::Generation at;
  const std::vector<os::LoadedModule> loaded = os::loaded_modules(at);
  std::vector<const os::LoadedModule*> fresh;
  {
    const std::lock_guard guard(s.lock);
    std::set<Place> present;
    for (const os::LoadedModule& module : loaded) {
      const Place place{module.base, module.dynamic};
      present.insert(place);
      if (!s.seen.contains(place)) fresh.push_back(&module);
    }
    // Places that emptied may be taken by another module later.
    std::erase_if(s.seen, [&](const Place& place) { return !present.contains(place); });
  }

  // Outside the lock: describing calls into the libraries, which may wait for the loader.
  std::vector<std::pair<Place, std::unique_ptr<Pool>>> described;
  described.reserve(fresh.size());
  for (const os::LoadedModule* module : fresh) {
    described.emplace_back(Place{module->base, module->dynamic}, describe(*module));
  }

  bool grew = false;
  const std::lock_guard guard(s.lock);
  for (auto& [place, pool] : described) {
    // Another thread may have described the same module meanwhile.
    if (s.seen.insert(place).second && pool != nullptr) grew |= publish(s, std::move(pool));
  }
  s.looked_at.store(stamp(at), std::memory_order_release);
  return grew;
}

std::size_t pool_count() { return state().count.load(std::memory_order_acquire); }

Pool& pool_at(std::size_t id) { return *state().pools[id].load(std::memory_order_acquire); }

std::vector<os::LoadedModule> modules() {
  os::Generation at;
  return os::loaded_modules(at);
}

void discover_lock() { state().lock.lock(); }
void discover_unlock() { state().lock.unlock(); }

}  // namespace corewise
