#include "thread_caps.h"

#include <array>
#include <atomic>

#include "gate.h"

namespace corewise::govern::thread_caps {
namespace {

// Filled before the copy's first hook runs, then constant.
struct Copy {
  int (*max_threads)() = nullptr;
  void (*set_threads)(int) = nullptr;
  std::uint32_t pool = gate::kNoPool;
};
constinit std::array<Copy, kMostCopies> copies;

constinit std::atomic<int> threads_capped{0};

struct Mine {
  std::uint32_t seen = 0;  // the cap_change() that this thread went by last
  bool counted = false;    // it has asked for its count since its last region
  int before = 0;
  int cap = 0;  // that we set; 0: none
};
[[gnu::tls_model("initial-exec")]] constinit thread_local std::array<Mine, kMostCopies> mine;

void follow(std::size_t index) {
  Mine& me = mine[index];
  const std::uint32_t now = gate::cap_change();
  if (me.seen == now) return;
  me.seen = now;
  const Copy& copy = copies[index];
  int threads = copy.max_threads();
  // What the program has set since stays.
  if (me.cap != 0) {
    if (threads == me.cap) copy.set_threads(threads = me.before);
    me.cap = 0;
    threads_capped.fetch_sub(1);
  }
  const int cap = gate::cap_of(copy.pool);
  if (cap == 0 || threads <= cap) return;
  me.before = threads;
  me.cap = cap;
  threads_capped.fetch_add(1);
  copy.set_threads(cap);
}

}  // namespace

void add(std::size_t copy, std::uint32_t pool, int (*max_threads)(), void (*set_threads)(int)) {
  copies[copy] = {max_threads, set_threads, pool};
}

void before_count(const void* max_threads) {
  for (std::size_t i = 0; i < kMostCopies; ++i) {
    if (reinterpret_cast<const void*>(copies[i].max_threads) != max_threads) continue;
    if (!gate::is_inside()) follow(i);
    mine[i].counted = true;
    return;
  }
}

void before_region(std::size_t copy) {
  if (copies[copy].set_threads == nullptr || gate::is_inside()) return;
  Mine& me = mine[copy];
  if (me.counted) {
    me.counted = false;
  } else {
    follow(copy);
  }
}

bool in_use() { return threads_capped.load() > 0; }

}  // namespace corewise::govern::thread_caps
