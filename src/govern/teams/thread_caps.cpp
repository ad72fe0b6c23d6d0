#include "thread_caps.h"

#include <algorithm>
#include <array>
#include <atomic>

#include "govern/grants/gate.h"
#include "limits/limit.h"
#include "os/fork.h"
#include "os/os.h"

namespace corewise::govern::thread_caps {
namespace {

// Fortran has its own names for both, and LLVM's runtime has one more.
constexpr std::array kGetters = {"omp_get_max_threads", "omp_get_max_threads_"};
constexpr std::array kSetters = {"omp_set_num_threads", "omp_set_num_threads_",
                                 "omp_set_num_threads_8_", "ompc_set_num_threads"};

// Constant once filled. The hooks of another copy, which look through all of them, may run
// meanwhile.
struct CappedCopy {
  std::array<const void*, kGetters.size()> getters{};
  std::array<const void*, kSetters.size()> setters{};
  int (*max_threads)() = nullptr;
  void (*set_threads)(int) = nullptr;
  int (*level)() = nullptr;
  std::uint32_t pool = gate::kNoPool;
  std::atomic<bool> filled{false};

  bool can_cap() const {
    return filled.load(std::memory_order_acquire) && max_threads != nullptr &&
           set_threads != nullptr && level != nullptr;
  }
};
constinit std::array<CappedCopy, kMostCopies> copies;

constinit std::atomic<int> threads_lowered{0};

// Small, because the loader has little room for thread-local variables of this kind.
struct Mine {
  int before = 0;               // the count that we lowered to the cap; 0: it is not lowered
  std::uint32_t cap : 16 = 0;   // the one it follows; 0: none, or the program has set a count since
  std::uint32_t seen : 15 = 0;  // low bits of the cap_change() that this thread last followed
  bool counted : 1 = false;     // has asked for its count, or set it, since its last region

  int most() const { return static_cast<int>(cap); }

  // The bits wrap: a thread that starts no region during exactly 32,768 changes, or a multiple,
  // keeps the cap that it had until the next change.
  static constexpr std::uint32_t kSeen = (1U << 15U) - 1;
  bool has_seen(std::uint32_t change) const { return seen == (change & kSeen); }
  void see(std::uint32_t change) { seen = change & kSeen; }
};
static_assert(sizeof(Mine) == 8 && CW_MAX_THREADS < 1 << 16);
[[gnu::tls_model("initial-exec")]] constinit thread_local std::array<Mine, kMostCopies> mine;

void forget_lowered(Mine& me) {
  if (me.before == 0) return;
  me.before = 0;
  threads_lowered.fetch_sub(1);
}

// Makes the thread's next region check again whether its count is above the cap. A count that the
// program set stays.
void check_again(Mine& me) {
  if (me.cap != 0) me.see(gate::cap_change() - 1);
}

// LLVM's runtime starts over in the child: nobody set the count that its thread has there.
void in_child() {
  for (Mine& me : mine) check_again(me);
}

void take_new_cap(Mine& me, const CappedCopy& copy, std::uint32_t change) {
  me.see(change);
  if (me.before != 0 && copy.max_threads() == me.most()) copy.set_threads(me.before);
  forget_lowered(me);
  me.cap = static_cast<std::uint16_t>(gate::cap_of(copy.pool));
}

// A count set inside a region ends with it.
bool is_in_region(const CappedCopy& copy) { return copy.level() > 0; }

void follow(std::size_t index) {
  Mine& me = mine[index];
  const std::uint32_t change = gate::cap_change();
  if (me.has_seen(change) && me.cap == 0) return;
  const CappedCopy& copy = copies[index];
  if (is_in_region(copy)) return;
  const bool known = me.has_seen(change);
  if (!known) take_new_cap(me, copy, change);
  if (me.cap == 0) return;
  const int threads = copy.max_threads();
  if (threads <= me.most()) return;
  // The thread was within its cap before, so the program has set the count since, in a way that has
  // no hook (dlsym). But in LLVM's runtime a count set in a league of teams ends with the league:
  // then the count from before the cap is back, and nobody set it.
  if (known && threads != me.before) {
    forget_lowered(me);
    me.cap = 0;
    return;
  }
  if (me.before == 0) threads_lowered.fetch_add(1);
  me.before = threads;
  copy.set_threads(me.most());
}

template <std::size_t N>
std::size_t copy_with(const std::array<const void*, N> CappedCopy::* functions,
                      const void* function) {
  const auto has = [&](const CappedCopy& copy) {
    return copy.can_cap() &&
           std::ranges::find(copy.*functions, function) != (copy.*functions).end();
  };
  return static_cast<std::size_t>(std::ranges::find_if(copies, has) - copies.begin());
}

std::size_t copy_of(const Pool& pool) {
  const auto is_it = [&](const CappedCopy& copy) { return copy.can_cap() && copy.pool == pool.id; };
  return static_cast<std::size_t>(std::ranges::find_if(copies, is_it) - copies.begin());
}

// Limits of the calling thread save the program's count. Once they set a count, the thread's next
// region checks whether it is above the cap.
int own_count(const Pool& pool, int now) {
  const std::size_t index = copy_of(pool);
  if (index == kMostCopies) return now;
  const Mine& me = mine[index];
  return me.before != 0 && now == me.most() ? me.before : now;
}

void limits_set(const Pool& pool) {
  const std::size_t index = copy_of(pool);
  if (index == kMostCopies) return;
  forget_lowered(mine[index]);
  check_again(mine[index]);
}

constexpr CountListener kListener = {own_count, limits_set};

}  // namespace

void add(std::size_t index, std::uint32_t pool, const FunctionByName& symbol) {
  CappedCopy& copy = copies[index];
  // Who governs again finds the same pools in the same order.
  if (copy.filled.load() && copy.pool == pool) return;
  copy.pool = pool;
  std::ranges::transform(kGetters, copy.getters.begin(), symbol);
  std::ranges::transform(kSetters, copy.setters.begin(), symbol);
  copy.level = reinterpret_cast<int (*)()>(symbol("omp_get_level"));
  copy.set_threads = reinterpret_cast<void (*)(int)>(symbol(kSetters[0]));
  copy.max_threads = reinterpret_cast<int (*)()>(symbol(kGetters[0]));
  copy.filled.store(true, std::memory_order_release);
  listen_to_counts(&kListener);
  os::at_fork(os::ForkRank::kThreadCaps, {.in_child = in_child});
}

void before_count(const void* getter) {
  const std::size_t index = copy_with(&CappedCopy::getters, getter);
  // The answer inside a region says nothing about the thread's next region outside of it.
  if (index == kMostCopies || is_in_region(copies[index])) return;
  follow(index);
  mine[index].counted = true;
}

void after_set(const void* setter) {
  const std::size_t index = copy_with(&CappedCopy::setters, setter);
  if (index == kMostCopies || is_in_region(copies[index])) return;
  Mine& me = mine[index];
  forget_lowered(me);
  me.see(gate::cap_change());
  me.cap = 0;
  me.counted = true;
}

void before_region(std::size_t copy) {
  if (!copies[copy].can_cap()) return;
  Mine& me = mine[copy];
  if (me.counted) {
    me.counted = false;
  } else {
    follow(copy);
  }
}

bool in_use() { return threads_lowered.load() > 0; }

}  // namespace corewise::govern::thread_caps
