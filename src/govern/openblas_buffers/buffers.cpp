// Slabs of address space cut into buffers, and a record for each thread.
#include "buffers.h"

#include <algorithm>
#include <chrono>
#include <new>
#include <thread>
#include <utility>

#include "os/fork.h"
#include "os/patch.h"

namespace corewise::govern::buffers {

// What a thread keeps. Odd `sequence`: the thread is inside a hook.
struct alignas(64) Cache {
  std::atomic<std::uint32_t> sequence = 0;
  std::atomic<std::uint32_t> next = 0;
  std::uint32_t id = 0;
  std::atomic<bool> alive = false;
  bool keeps = false;  // counted among the keepers
  std::array<std::array<Buffer*, kKept>, kShelves> kept{};
  std::array<Buffer*, kKept> latest{};  // taken most recently
};

namespace {

constexpr std::uint32_t kSlabBuffers = 64;
constexpr std::size_t kMaxSlabs = 1024;
constexpr std::size_t kChunkCaches = 128;
constexpr std::size_t kMaxChunks = 1024;
constexpr std::size_t kHugePage = std::size_t{2} << 20U;

// Stands at the start of its own address space; the buffers follow.
struct Slab {
  Slab(Shelf& of, std::uint32_t how_many, std::size_t stride_of_each, std::byte* first)
      : shelf(&of), count(how_many), stride(stride_of_each), base(first) {}
  Shelf* shelf;
  std::uint32_t count;
  std::size_t stride;
  std::byte* base;
  std::atomic<std::uint32_t> used = 0;
  Buffer buffers[kSlabBuffers];
};

// Plain globals, never destroyed: hooks run until the very end of the process.
std::atomic<Slab*> slabs[kMaxSlabs];
std::atomic<Cache*> chunks[kMaxChunks];
std::atomic<std::size_t> made_caches = 0;
std::atomic<std::int64_t> strangers = 0;  // inside a hook without a record
std::atomic<std::int64_t> keepers = 0;
std::atomic<std::int64_t> limit = 64;
Shelf shelves[kShelves];
os::ThreadPointer own;

Cache& cache_at(std::uint32_t id) {
  return chunks[id / kChunkCaches].load(std::memory_order_acquire)[id % kChunkCaches];
}
List<Cache, cache_at> unused_caches;

std::size_t index_of(const Shelf& shelf) { return static_cast<std::size_t>(&shelf - shelves); }

Cache* make_cache() {
  const std::size_t id = made_caches.fetch_add(1);
  if (id >= kChunkCaches * kMaxChunks) {
    made_caches.fetch_sub(1);
    return nullptr;
  }
  std::atomic<Cache*>& chunk = chunks[id / kChunkCaches];
  if (chunk.load(std::memory_order_acquire) == nullptr) {
    constexpr std::size_t kSize = kChunkCaches * sizeof(Cache);
    std::byte* memory = os::reserve(kSize);
    if (memory == nullptr) return nullptr;
    if (!os::commit(memory, kSize)) {
      os::release(memory, kSize);
      return nullptr;
    }
    auto* fresh = reinterpret_cast<Cache*>(memory);
    for (std::size_t i = 0; i < kChunkCaches; ++i) new (fresh + i) Cache;
    Cache* expected = nullptr;
    if (!chunk.compare_exchange_strong(expected, fresh)) os::release(memory, kSize);
  }
  Cache& cache = cache_at(static_cast<std::uint32_t>(id));
  cache.id = static_cast<std::uint32_t>(id);
  return &cache;
}

void shelve(Buffer& buffer) {
  Shelf& shelf = *buffer.shelf;
  if (shelf.idle.fetch_add(1) < limit.load(std::memory_order_relaxed)) {
    shelf.by_node[buffer.node].push(buffer);
    return;
  }
  shelf.idle.fetch_sub(1);
  os::discard(buffer.address, shelf.size);
  shelf.emptied.push(buffer);
}

Buffer* unshelve(Shelf& shelf, std::size_t node) {
  Buffer* buffer = shelf.by_node[node].pop();
  if (buffer != nullptr) shelf.idle.fetch_sub(1);
  return buffer;
}

// The order matters: a buffer leaves the cache before it goes on a list. Another thread may fork in
// between, and forked() repeats all this in the child: from both places, two threads would get it.
void leave_behind(Cache& cache) {
  for (auto& kept : cache.kept) {
    for (Buffer*& buffer : kept) {
      if (Buffer* left = std::exchange(buffer, nullptr)) shelve(*left);
    }
  }
  cache.latest = {};
  if (std::exchange(cache.keeps, false)) keepers.fetch_sub(1);
  cache.alive.store(false, std::memory_order_release);
  unused_caches.push(cache);
}

void thread_ended(void* value) {
  auto& cache = *static_cast<Cache*>(value);
  cache.sequence.fetch_add(1);
  leave_behind(cache);
  cache.sequence.fetch_add(1);
}

Cache* own_cache() {
  if (void* known = own.get()) return static_cast<Cache*>(known);
  Cache* cache = unused_caches.pop();
  if (cache == nullptr) cache = make_cache();
  if (cache == nullptr) return nullptr;
  if (!own.set(cache)) {
    unused_caches.push(*cache);
    return nullptr;
  }
  cache->alive.store(true, std::memory_order_release);
  return cache;
}

bool may_keep(Cache& cache) {
  if (cache.keeps) return true;
  const std::int64_t most = limit.load(std::memory_order_relaxed);
  if (keepers.load(std::memory_order_relaxed) >= most) return false;
  cache.keeps = keepers.fetch_add(1) < most;
  if (!cache.keeps) keepers.fetch_sub(1);
  return cache.keeps;
}

// `refused`: the system has no memory for it.
Buffer* cut(Slab& slab, bool& refused) {
  for (std::uint32_t i = slab.used.load(); i < slab.count;) {
    if (!os::commit(slab.buffers[i].address, slab.shelf->size)) {
      refused = true;
      return nullptr;
    }
    if (slab.used.compare_exchange_weak(i, i + 1)) return &slab.buffers[i];
  }
  return nullptr;
}

// Adds address space for `count` buffers to the list of slabs, unless another thread has added some
// meanwhile. False: there is none.
bool add_slab(Shelf& shelf, std::uint32_t count) {
  const std::size_t stride = (shelf.size + kHugePage - 1) / kHugePage * kHugePage;
  // One stride for the slab itself, so that buffers begin where huge pages can.
  const std::size_t size = kHugePage * 2 + stride * count;
  std::byte* memory = os::reserve(size);
  if (memory == nullptr) return false;
  const auto misfit = reinterpret_cast<std::uintptr_t>(memory) % kHugePage;
  std::byte* begin = memory + (misfit == 0 ? 0 : kHugePage - misfit);
  if (!os::commit(begin, sizeof(Slab))) {
    os::release(memory, size);
    return false;
  }
  auto* slab = new (begin) Slab(shelf, count, stride, begin + kHugePage);
  for (std::uint32_t i = 0; i < kMaxSlabs; ++i) {
    if (slabs[i].load(std::memory_order_relaxed) != nullptr) continue;
    for (std::uint32_t k = 0; k < count; ++k) {
      slab->buffers[k].address = slab->base + stride * k;
      slab->buffers[k].shelf = &shelf;
      slab->buffers[k].id = i * kSlabBuffers + k;
    }
    Slab* expected = nullptr;
    if (!slabs[i].compare_exchange_strong(expected, slab)) os::release(memory, size);
    return true;
  }
  os::release(memory, size);
  return false;
}

template <class Visit>
void each_slab(Visit visit) {
  for (const std::atomic<Slab*>& each : slabs) {
    Slab* slab = each.load(std::memory_order_acquire);
    if (slab == nullptr) return;
    visit(*slab);
  }
}

Buffer* cut_from_any(Shelf& shelf, bool& refused) {
  Buffer* found = nullptr;
  each_slab([&](Slab& slab) {
    if (found == nullptr && slab.shelf == &shelf) found = cut(slab, refused);
  });
  return found;
}

// As many as the shelf has already: a program whose address space is limited (ulimit -v) would miss
// 2 GB at once.
std::uint32_t next_count(const Shelf& shelf) {
  std::uint32_t count = 0;
  each_slab([&](const Slab& slab) {
    if (slab.shelf == &shelf) count = std::min(kSlabBuffers, count + slab.count);
  });
  return std::max<std::uint32_t>(1, count);
}

Buffer* make(Shelf& shelf) {
  for (bool refused = false; !refused;) {
    if (Buffer* buffer = cut_from_any(shelf, refused)) return buffer;
    std::uint32_t count = next_count(shelf);
    while (count != 0 && !add_slab(shelf, count)) count /= 4;
    if (count == 0) return nullptr;
  }
  return nullptr;
}

Buffer* take_shared(Shelf& shelf) {
  const std::uint32_t node = os::numa_node() % kNodes;
  if (Buffer* buffer = unshelve(shelf, node)) return buffer;
  Buffer* buffer = shelf.emptied.pop();
  if (buffer == nullptr) buffer = make(shelf);
  if (buffer != nullptr) {
    buffer->node = node;
    return buffer;
  }
  for (std::size_t other = 0; other < kNodes && buffer == nullptr; ++other) {
    buffer = unshelve(shelf, other);
  }
  return buffer;
}

// Only the forking thread lives on in the child. The lists get what the others kept, and what they
// had taken for a call, since those calls never end.
void forked() {
  strangers.store(0);
  Cache* mine = static_cast<Cache*>(own.get());
  const std::size_t made = std::min(made_caches.load(), kChunkCaches * kMaxChunks);
  each_slab([&](Slab& slab) {
    for (std::uint32_t i = 0; i < std::min(slab.used.load(), slab.count); ++i) {
      Buffer& buffer = slab.buffers[i];
      if (buffer.user.load() == nullptr || buffer.owner.load() == mine) continue;
      buffer.user.store(nullptr);
      shelve(buffer);
    }
  });
  for (std::uint32_t id = 0; id < made; ++id) {
    if (chunks[id / kChunkCaches].load() == nullptr) continue;
    Cache& cache = cache_at(id);
    if (&cache == mine || !cache.alive.load()) continue;
    cache.sequence.store(0);
    leave_behind(cache);
  }
}

}  // namespace

Buffer& buffer_at(std::uint32_t id) {
  return slabs[id / kSlabBuffers].load(std::memory_order_acquire)->buffers[id % kSlabBuffers];
}

bool start() {
  static const bool started = [] {
    limit.store(std::max<std::int64_t>(64, 4 * std::int64_t{std::thread::hardware_concurrency()}));
    if (!own.create(thread_ended)) return false;
    os::numa_node();
    os::at_fork(os::ForkRank::kBuffers, {.in_child = forked});
    return true;
  }();
  return started;
}

Shelf* shelf_for(std::size_t size) {
  for (Shelf& shelf : shelves) {
    std::size_t expected = 0;
    if (shelf.size.compare_exchange_strong(expected, size) || expected == size) return &shelf;
  }
  return nullptr;
}

Inside::Inside() : cache_(own_cache()) {
  if (cache_ != nullptr && (cache_->sequence.load(std::memory_order_relaxed) & 1U) != 0) {
    cache_ = nullptr;
  }
  if (cache_ == nullptr) {
    strangers.fetch_add(1);
  } else {
    // Ordered before what the hook reads next, so that a thread that switches a hook off and then
    // looks here sees every thread that still took it for on.
    cache_->sequence.exchange(cache_->sequence.load(std::memory_order_relaxed) + 1);
  }
}

Inside::~Inside() {
  if (cache_ == nullptr) {
    strangers.fetch_sub(1);
  } else {
    cache_->sequence.store(cache_->sequence.load(std::memory_order_relaxed) + 1,
                           std::memory_order_release);
  }
}

Buffer* Inside::take(Shelf& shelf, const void* user) {
  Buffer* buffer = nullptr;
  if (cache_ != nullptr) {
    for (Buffer*& kept : cache_->kept[index_of(shelf)]) {
      if (kept == nullptr) continue;
      buffer = std::exchange(kept, nullptr);
      break;
    }
  }
  if (buffer == nullptr) buffer = take_shared(shelf);
  if (buffer == nullptr) return nullptr;
  buffer->owner.store(cache_, std::memory_order_relaxed);
  buffer->user.store(user, std::memory_order_release);
  if (cache_ != nullptr && cache_->latest[0] != buffer) {
    cache_->latest[1] = std::exchange(cache_->latest[0], buffer);
  }
  return buffer;
}

Buffer* Inside::find(const void* at) {
  const auto* address = static_cast<const std::byte*>(at);
  Buffer* found = nullptr;
  if (cache_ != nullptr) {
    for (Buffer* latest : cache_->latest) {
      if (latest != nullptr && latest->address == address) found = latest;
    }
  }
  if (found == nullptr) {
    each_slab([&](Slab& slab) {
      if (address < slab.base || address >= slab.base + slab.stride * slab.count) return;
      const auto offset = static_cast<std::size_t>(address - slab.base);
      if (offset % slab.stride == 0) found = &slab.buffers[offset / slab.stride];
    });
  }
  return found;
}

void Inside::give(Buffer& buffer) {
  // Given back twice: ignore the second time.
  if (buffer.user.exchange(nullptr) == nullptr) return;
  if (cache_ != nullptr && buffer.owner.load(std::memory_order_relaxed) == cache_ &&
      may_keep(*cache_)) {
    for (Buffer*& kept : cache_->kept[index_of(*buffer.shelf)]) {
      if (kept != nullptr) continue;
      kept = &buffer;
      return;
    }
  }
  shelve(buffer);
}

bool wait_until_left() {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::milliseconds(100);
  const auto waited_for = [&](auto gone) {
    while (!gone()) {
      if (std::chrono::steady_clock::now() > deadline) return false;
      std::this_thread::yield();
    }
    return true;
  };
  const std::size_t made = std::min(made_caches.load(), kChunkCaches * kMaxChunks);
  for (std::uint32_t id = 0; id < made; ++id) {
    if (chunks[id / kChunkCaches].load() == nullptr) continue;
    const Cache& cache = cache_at(id);
    const std::uint32_t seen = cache.sequence.load();
    if ((seen & 1U) != 0 && !waited_for([&] { return cache.sequence.load() != seen; }))
      return false;
  }
  return waited_for([] { return strangers.load() == 0; });
}

Usage usage(const void* user) {
  Usage out;
  each_slab([&](Slab& slab) {
    const std::uint32_t used = std::min(slab.used.load(), slab.count);
    out.buffers += used;
    for (std::uint32_t i = 0; i < used; ++i) {
      const void* has = slab.buffers[i].user.load();
      if (has != nullptr && (user == nullptr || has == user)) ++out.taken;
    }
  });
  for (const Shelf& shelf : shelves) {
    out.listed += static_cast<std::size_t>(std::max<std::int64_t>(0, shelf.idle.load()));
  }
  return out;
}

void set_limit(std::size_t most) { limit.store(static_cast<std::int64_t>(most)); }

void trim() {
  for (Shelf& shelf : shelves) {
    for (std::size_t node = 0; node < kNodes; ++node) {
      while (Buffer* buffer = unshelve(shelf, node)) {
        os::discard(buffer->address, shelf.size);
        shelf.emptied.push(*buffer);
      }
    }
  }
}

}  // namespace corewise::govern::buffers
