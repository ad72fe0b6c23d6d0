// Which threads are inside, and what was granted, for the report.
#include "gate.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <limits>
#include <utility>

#include "base/clock.h"
#include "os/fork.h"
#include "os/os.h"

namespace corewise::govern::gate {
namespace {

// Threads count in different places, so that counting costs no shared cache line.
struct alignas(64) ThreadsTally : Tally {};

constexpr std::size_t kTallies = 32;
using Tallies = std::array<ThreadsTally, kTallies>;
static_assert(sizeof(Tallies) == kTallyPage);
alignas(kTallyPage) constinit Tallies own_page;
constinit Tallies beside_page;
constinit std::atomic<Tallies*> tallies{&own_page};
constinit std::atomic<std::uint32_t> threads_seen{0};

struct VisitsOfThread {
  // Size of the governed team that this thread works in; up to 1: none.
  int team = 0;
  // Visits that count. The grant is the innermost one's: an outer one can only be a team of one,
  // whose grant was given back for it.
  int depth = 0;
  Holding held;
  std::uintptr_t frame = 0;  // of the outermost
  Tally* tally = nullptr;
};

// In the thread's static TLS block, not in one that is allocated at the first access.
[[gnu::tls_model("initial-exec")]] constinit thread_local VisitsOfThread me;

constinit std::atomic<const Grants*> granter{nullptr};
constinit std::atomic<const Observer*> observer{nullptr};
constinit std::atomic<int> inside{0};
constinit std::atomic<std::uint32_t> forks{0};
constinit std::array<std::atomic<int>, kMostCapped> caps{};
constinit std::atomic<std::uint32_t> cap_changes{0};
constinit std::atomic<int> most_in_team{std::numeric_limits<int>::max()};

void add(std::uint64_t& count, std::uint64_t much) {
  std::atomic_ref(count).fetch_add(much, std::memory_order_relaxed);
}

void raise(std::uint64_t& count, std::uint64_t to) {
  const std::atomic_ref most(count);
  std::uint64_t now = most.load(std::memory_order_relaxed);
  while (now < to && !most.compare_exchange_weak(now, to, std::memory_order_relaxed)) {
  }
}

std::uint64_t bit_of(int size) { return std::uint64_t{1} << std::min(size, kLastSize); }

// Sizes are few, and seen again and again.
void note_size(std::uint64_t& count, int size) {
  const std::atomic_ref sizes(count);
  if ((sizes.load(std::memory_order_relaxed) & bit_of(size)) == 0) {
    sizes.fetch_or(bit_of(size), std::memory_order_relaxed);
  }
}

void count_bending(Tally& mine, int wanted, int got) {
  add(mine.bending, 1);
  if (got == wanted) return;
  add(mine.bent, 1);
  note_size(mine.bent_from, wanted);
  note_size(mine.bent_to, got);
}

Tally& own_tally() {
  if (me.tally == nullptr) {
    const std::uint32_t number = threads_seen.fetch_add(1, std::memory_order_relaxed);
    me.tally = &(*tallies.load(std::memory_order_relaxed))[number % kTallies];
  }
  return *me.tally;
}

void give_back(Holding& held) {
  if (held.asked != nullptr && held.grant.claim != 0) {
    held.asked->release(held.asked->self, held.grant);
  }
  held.grant = {};
  held.team = 1;
  if (held.withheld > 0) {
    add(own_tally().not_needed_ns,
        static_cast<std::uint64_t>(held.withheld) * (now_ns() - held.since_ns));
    held.withheld = 0;
  }
}

// Threads that a cap takes away do not count as withheld.
int below_cap(int wanted, std::uint32_t pool) {
  const int cap = cap_of(pool);
  return cap != 0 ? std::min(wanted, cap) : wanted;
}

void go_out() {
  if (inside.fetch_sub(1) != 1) return;
  if (const Observer* told = observer.load(std::memory_order_acquire)) told->idle();
}

// The cap on teams is only for teams whose size we choose.
void take(Holding& held, const Grants* grants, GrantRequest request) {
  held.asked = grants;
  const int wanted = request.wanted;
  if (request.kind != VisitKind::kCall && !request.whole) {
    request.wanted = std::min(wanted, most_in_team.load(std::memory_order_relaxed));
  }
  held.grant = grants->acquire(grants->self, request);
  held.grant.threads = std::clamp(held.grant.threads, 1, wanted);
  held.team = request.whole ? wanted : held.grant.threads;
  if (held.team < wanted) {
    held.withheld = wanted - held.team;
    held.since_ns = now_ns();
  }
}

// Returns the threads to use.
int ask(Holding& held, const Grants* grants, const GrantRequest& request) {
  take(held, grants, request);
  Tally& mine = own_tally();
  add(request.kind != VisitKind::kCall ? mine.regions : mine.calls, 1);
  if (request.kind == VisitKind::kRegion && !request.whole) {
    count_bending(mine, request.wanted, held.team);
  }
  add(mine.granted, static_cast<std::uint64_t>(held.team));
  if (held.withheld > 0) {
    add(mine.shortened, 1);
    add(mine.withheld, static_cast<std::uint64_t>(held.withheld));
  }
  if (request.kind != VisitKind::kCall && held.team > 1) {
    if (const Observer* told = observer.load(std::memory_order_acquire)) told->busy();
  }
  return held.team;
}

// The child has neither the parent's other threads nor their regions. This thread's own region goes
// on, but the parent counted it.
void forget_parent() {
  me = {};
  inside.store(0);
  forks.fetch_add(1, std::memory_order_relaxed);
  if (const Observer* told = observer.load(std::memory_order_acquire)) told->idle();
  for (ThreadsTally& each : *tallies.load()) {
    for (const TallyRow& row : kTally) {
      std::atomic_ref(each.*row.value).store(0, std::memory_order_relaxed);
    }
  }
}

}  // namespace

void open(const Grants* grants) {
  os::at_fork(os::ForkRank::kGate, {.in_child = forget_parent});
  granter.store(grants, std::memory_order_release);
}

void cap_teams(int most) { most_in_team.store(std::max(1, most), std::memory_order_relaxed); }

void cap_pool(std::uint32_t pool, int most) {
  if (pool >= kMostCapped) return;
  if (caps[pool].exchange(std::max(0, most)) != std::max(0, most)) cap_changes.fetch_add(1);
}

std::uint32_t cap_change() { return cap_changes.load(std::memory_order_acquire); }

int cap_of(std::uint32_t pool) {
  return pool < kMostCapped ? caps[pool].load(std::memory_order_relaxed) : 0;
}

bool is_open() { return granter.load(std::memory_order_relaxed) != nullptr; }

bool is_inside() { return me.team > 1 || (me.depth > 0 && me.held.team > 1); }

Visit enter(VisitKind kind, int wanted, bool whole, std::uint32_t pool) {
  const Grants* grants = granter.load(std::memory_order_acquire);
  if (grants == nullptr || wanted <= 1) return {.threads = wanted};
  if (!whole) wanted = below_cap(wanted, pool);
  raise(own_tally().widest, static_cast<std::uint64_t>(wanted));
  // Stacks grow downwards: a caller at this frame or further up has left whatever was deeper.
  const auto frame = reinterpret_cast<std::uintptr_t>(__builtin_frame_address(0));
  if (me.depth > 0 && frame >= me.frame) {
    give_back(me.held);
    add(own_tally().abandoned, static_cast<std::uint64_t>(me.depth));
    inside.fetch_sub(me.depth);
    me.depth = 0;
  }
  if (is_inside()) {
    add(own_tally().nested, 1);
    return {.threads = whole ? wanted : 1, .governed = true, .crowded = true};
  }
  if (me.depth > 0) {
    give_back(me.held);
  } else {
    me.frame = frame;
  }
  inside.fetch_add(1);
  ++me.depth;
  const int threads = ask(me.held, grants, {.wanted = wanted, .kind = kind, .whole = whole});
  return {.threads = threads,
          .counted = true,
          .governed = true,
          .crowded = me.held.grant.contended || me.held.grant.threads < threads};
}

void leave(const Visit& visit) {
  if (!visit.counted || me.depth == 0) return;
  --me.depth;
  give_back(me.held);
  go_out();
}

int Tenancy::enter(int wanted, std::uint32_t pool, bool again) {
  leave();
  const Grants* grants = granter.load(std::memory_order_acquire);
  if (grants == nullptr || wanted <= 1) return std::max(1, wanted);
  wanted = below_cap(wanted, pool);
  raise(own_tally().widest, static_cast<std::uint64_t>(wanted));
  inside.fetch_add(1);
  counted_ = true;
  forks_ = forks.load(std::memory_order_relaxed);
  return ask(held_, grants, {.wanted = wanted, .kind = VisitKind::kArena, .again = again});
}

std::optional<int> Tenancy::renew(int wanted, std::uint32_t pool) {
  if (!counted_ || forks_ != forks.load(std::memory_order_relaxed)) return std::nullopt;
  give_back(held_);
  const Grants* grants = granter.load(std::memory_order_acquire);
  if (grants == nullptr) return wanted;
  take(held_, grants, {.wanted = below_cap(wanted, pool), .kind = VisitKind::kArena});
  return held_.team;
}

void Tenancy::leave() {
  if (!std::exchange(counted_, false)) return;
  // After a fork the child is not inside, and its parent's grant is not its own.
  if (forks_ != forks.load(std::memory_order_relaxed)) {
    held_ = {};
    return;
  }
  give_back(held_);
  go_out();
}

int join_team(int team) { return std::exchange(me.team, team); }

void observe(const Observer* told) { observer.store(told, std::memory_order_release); }

bool is_busy() { return inside.load() > 0; }

Tally tally() { return tally_in(tallies.load()); }

void* tally_page() { return &own_page; }

void leave_tally_page() {
  me.tally = nullptr;
  tallies.store(&beside_page);
}

Tally tally_in(void* page) {
  Tally sum;
  for (ThreadsTally& each : *static_cast<Tallies*>(page)) {
    Tally now;
    for (const TallyRow& row : kTally) {
      now.*row.value = std::atomic_ref(each.*row.value).load(std::memory_order_relaxed);
    }
    add(now, sum);
  }
  return sum;
}

}  // namespace corewise::govern::gate
