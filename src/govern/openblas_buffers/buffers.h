// Work buffers for any number of threads at once, taken and given back from within hooks.
//
// A buffer is address space of one size; memory comes with the first touch, on the node of the
// thread that touches it. A thread keeps the buffers it gave back and gets them again, which costs
// no shared cache line. Buffers that threads cannot keep, or leave when they end, go on lock-free
// lists, one for each node, for the next taker there. Idle memory is bounded: only so many threads
// may keep buffers, and only so many buffers on the lists keep their memory; the rest give it back
// to the system. Buffers are never unmapped, so a stale pointer to one is still recognised.
//
// Nothing here locks or allocates with malloc, and the shared state is only reached through Inside.
// Exception: the system's own table of thread pointers may grow once per thread.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace corewise::govern {

namespace openblas_buffers {
struct Listener;
}

namespace buffers {

inline constexpr std::size_t kShelves = 8;
inline constexpr std::size_t kNodes = 64;
inline constexpr std::size_t kKept = 2;

struct Cache;
struct Shelf;

struct alignas(64) Buffer {
  std::byte* address = nullptr;
  Shelf* shelf = nullptr;
  std::atomic<Cache*> owner = nullptr;      // the thread that took it
  std::atomic<const void*> user = nullptr;  // for whom; null: idle
  std::atomic<std::uint32_t> next = 0;      // on a list
  std::uint32_t id = 0;
  std::uint32_t node = 0;
  const openblas_buffers::Listener* told = nullptr;  // of the call that took it
};

// A lock-free list of items that are never freed, by number, through their `next` and `id`. The
// upper half of the head counts changes, so that an old head is never taken for the present one.
template <class T, T& (*at)(std::uint32_t)>
class List {
 public:
  void push(T& item) {
    std::uint64_t head = head_.load(std::memory_order_relaxed);
    do {
      item.next.store(static_cast<std::uint32_t>(head), std::memory_order_relaxed);
    } while (!head_.compare_exchange_weak(head, changed(head) | (item.id + 1),
                                          std::memory_order_release, std::memory_order_relaxed));
  }
  T* pop() {
    std::uint64_t head = head_.load(std::memory_order_acquire);
    while (static_cast<std::uint32_t>(head) != 0) {
      T& item = at(static_cast<std::uint32_t>(head) - 1);
      const std::uint32_t next = item.next.load(std::memory_order_relaxed);
      if (head_.compare_exchange_weak(head, changed(head) | next, std::memory_order_acquire,
                                      std::memory_order_acquire)) {
        return &item;
      }
    }
    return nullptr;
  }

 private:
  static std::uint64_t changed(std::uint64_t head) { return ((head >> 32U) + 1) << 32U; }
  alignas(64) std::atomic<std::uint64_t> head_ = 0;
};

Buffer& buffer_at(std::uint32_t id);
using BufferList = List<Buffer, buffer_at>;

// Buffers of one size. Fields that many threads write have cache lines of their own.
struct Shelf {  // NOLINT(clang-analyzer-optin.performance.Padding)
  std::atomic<std::size_t> size = 0;
  alignas(64) std::atomic<std::int64_t> idle = 0;  // on `by_node`
  BufferList by_node[kNodes];
  BufferList emptied;  // without memory
};

// Call it before anything else, not from a hook. False: the system has no thread pointers left.
bool start();

// The shelf for a size; null if there are too many different ones. Not from a hook.
Shelf* shelf_for(std::size_t size);

// Marks a hook as inside, and gives it the thread's own buffers. A signal handler that interrupts a
// hook, and a thread without a thread pointer, have none: the lists do it all.
class Inside {
 public:
  Inside();
  ~Inside();
  Inside(const Inside&) = delete;
  Inside& operator=(const Inside&) = delete;

  // Null only if the system has no memory left. `user` must not be null.
  Buffer* take(Shelf& shelf, const void* user);
  // The buffer that starts at `at`; null if it is not one of ours.
  Buffer* find(const void* at);
  void give(Buffer& buffer);

 private:
  Cache* cache_;
};

// Waits until every thread that is inside a hook now has left it, for a tenth of a second at most.
// Returns whether they have.
bool wait_until_left();

struct Usage {
  std::size_t taken = 0;
  std::size_t buffers = 0;  // for tests: ever made, of all users
  std::size_t listed = 0;   // for tests: idle with memory, not kept by a thread, of all users
};
Usage usage(const void* user);  // null: of all, for tests

// For tests: how many threads may keep buffers, and how many idle buffers on a list may keep their
// memory.
void set_limit(std::size_t limit);
// For tests: gives the memory of all listed buffers back.
void trim();

}  // namespace buffers
}  // namespace corewise::govern
