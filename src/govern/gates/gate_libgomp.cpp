// Facts (libgomp/parallel.c, loop.c, sections.c): num_threads 0 means the ICV; libgomp never starts
// more than asked for; GOMP_parallel_reductions also reads the first word of `data`. The pairs
// *_start and GOMP_parallel_end are what GCC before 4.9 compiled to: between the two the caller
// runs the region's function itself.
//
// A replacement must know which copy it stands for, and the longest signatures leave no register to
// pass that. So each copy has its own replacements: the templates' `copy`.
#include "gate_libgomp.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <climits>
#include <cstring>
#include <utility>

#include "dead_workers.h"
#include "govern/grants/gate.h"
#include "govern/spinning/waiting.h"
#include "govern/teams/bends.h"
#include "govern/teams/team_bounds.h"
#include "govern/teams/thread_caps.h"

namespace corewise::govern::libgomp {
namespace {

using Outlined = void(void*);

enum Name : std::size_t {
  kParallel,
  kReductions,
  kSections,
  kStatic,
  kDynamic,
  kGuided,
  kNonmonotonicDynamic,
  kNonmonotonicGuided,
  kRuntime,
  kNonmonotonicRuntime,
  kMaybeNonmonotonicRuntime,
  kStart,
  kSectionsStart,
  kStaticStart,
  kDynamicStart,
  kGuidedStart,
  kRuntimeStart,
  kEnd,
  kNames
};

constexpr std::array<const char*, kNames> kSymbols = {
    "GOMP_parallel",
    "GOMP_parallel_reductions",
    "GOMP_parallel_sections",
    "GOMP_parallel_loop_static",
    "GOMP_parallel_loop_dynamic",
    "GOMP_parallel_loop_guided",
    "GOMP_parallel_loop_nonmonotonic_dynamic",
    "GOMP_parallel_loop_nonmonotonic_guided",
    "GOMP_parallel_loop_runtime",
    "GOMP_parallel_loop_nonmonotonic_runtime",
    "GOMP_parallel_loop_maybe_nonmonotonic_runtime",
    "GOMP_parallel_start",
    "GOMP_parallel_sections_start",
    "GOMP_parallel_loop_static_start",
    "GOMP_parallel_loop_dynamic_start",
    "GOMP_parallel_loop_guided_start",
    "GOMP_parallel_loop_runtime_start",
    "GOMP_parallel_end",
};

// A copy of the runtime. Filled before the first of its GOT entries is rewritten, then constant.
struct LibgompCopy {
  std::array<void*, kNames> original{};
  int (*max_threads)() = nullptr;
  int (*team)() = nullptr;  // size of the calling thread's team
  TeamBounds bounds;
  std::uint32_t pool = gate::kNoPool;
};
constinit std::array<LibgompCopy, kMostCopies> copies;

template <Name name, class Function>
Function* original(std::size_t copy) {
  return reinterpret_cast<Function*>(copies[copy].original[name]);
}

// What a team's threads get in place of the region's data.
struct LibgompRegion {
  void* first_word = nullptr;  // of the true data
  Outlined* function = nullptr;
  void* data = nullptr;
  const LibgompCopy* copy = nullptr;
  waiting::Blocktime blocktime;
};

void run_as_member(void* argument) {
  const LibgompRegion region = *static_cast<const LibgompRegion*>(argument);
  // The runtime may start fewer threads than were asked for; team() tells.
  const gate::TeamMember member(region.copy->team());
  const waiting::Member waits(region.blocktime);
  region.function(region.data);
}

// The visit, and what to ask the runtime for in place of `asked`.
struct SizedVisit {
  unsigned threads;
  gate::Visit visit;
};

SizedVisit enter(std::size_t copy, Outlined* function, unsigned asked) {
  SizedVisit entered{asked, {}};
  if (asked == 1 || !gate::is_open()) return entered;
  dead_workers::before_region(copy);
  const TeamBounds& bounds = copies[copy].bounds;
  if (bounds.is_serial()) return entered;
  const bool whole = !bends(reinterpret_cast<std::uintptr_t>(function));
  if (whole && asked == 0) thread_caps::before_region(copy);
  const int number = asked != 0 ? static_cast<int>(std::min(asked, unsigned{INT_MAX}))
                                : std::max(1, copies[copy].max_threads());
  const int wanted = bounds.within_limit(number);
  entered.visit = gate::enter(gate::VisitKind::kRegion, wanted, whole, copies[copy].pool);
  // If all was granted, the program's number stays: 0 lets the runtime decide.
  if (entered.visit.threads < wanted) {
    entered.threads = static_cast<unsigned>(entered.visit.threads);
  }
  return entered;
}

bool has_workers(const SizedVisit& entered) {
  return entered.visit.governed && entered.visit.threads > 1;
}

// Leaves at the end of the scope.
struct Leave {
  const gate::Visit& visit;
  ~Leave() { gate::leave(visit); }
};

// `go(function, data, threads)` calls the original.
template <class Go>
auto pass(std::size_t copy, Outlined* function, void* data, unsigned asked, Go go) {
  const SizedVisit entered = enter(copy, function, asked);
  const Leave leave{entered.visit};
  const waiting::Region waits(copy, entered.visit);
  if (!has_workers(entered)) return go(function, data, entered.threads);
  LibgompRegion region{nullptr, function, data, &copies[copy], waits.blocktime()};
  if (data != nullptr) std::memcpy(static_cast<void*>(&region.first_word), data, sizeof(void*));
  return go(run_as_member, static_cast<void*>(&region), entered.threads);
}

template <std::size_t copy>
void parallel(Outlined* function, void* data, unsigned asked, unsigned flags) {
  using Original = void(Outlined*, void*, unsigned, unsigned);
  pass(copy, function, data, asked, [&](Outlined* f, void* d, unsigned threads) {
    original<kParallel, Original>(copy)(f, d, threads, flags);
  });
}

template <std::size_t copy>
unsigned parallel_reductions(Outlined* function, void* data, unsigned asked, unsigned flags) {
  using Original = unsigned(Outlined*, void*, unsigned, unsigned);
  return pass(copy, function, data, asked, [&](Outlined* f, void* d, unsigned threads) {
    return original<kReductions, Original>(copy)(f, d, threads, flags);
  });
}

template <std::size_t copy>
void parallel_sections(Outlined* function, void* data, unsigned asked, unsigned count,
                       unsigned flags) {
  using Original = void(Outlined*, void*, unsigned, unsigned, unsigned);
  pass(copy, function, data, asked, [&](Outlined* f, void* d, unsigned threads) {
    original<kSections, Original>(copy)(f, d, threads, count, flags);
  });
}

template <std::size_t copy, Name name>
void parallel_loop(Outlined* function, void* data, unsigned asked, long begin, long end, long step,
                   long chunk, unsigned flags) {
  using Original = void(Outlined*, void*, unsigned, long, long, long, long, unsigned);
  pass(copy, function, data, asked, [&](Outlined* f, void* d, unsigned threads) {
    original<name, Original>(copy)(f, d, threads, begin, end, step, chunk, flags);
  });
}

template <std::size_t copy, Name name>
void parallel_loop_runtime(Outlined* function, void* data, unsigned asked, long begin, long end,
                           long step, unsigned flags) {
  using Original = void(Outlined*, void*, unsigned, long, long, long, unsigned);
  pass(copy, function, data, asked, [&](Outlined* f, void* d, unsigned threads) {
    original<name, Original>(copy)(f, d, threads, begin, end, step, flags);
  });
}

// For the pairs. The workers read the region until GOMP_parallel_end, and each thread may have one,
// for its outermost. Threads share these, as thread-local room is scarce. In the child of a fork
// those of the parent's other threads stay claimed.
struct OpenRegion {
  std::atomic<bool> claimed{false};
  LibgompRegion region;
};
constinit std::array<OpenRegion, kMostOpenRegions> open_regions;

struct OpenRegionsOfThread {
  gate::Nest nest;
  OpenRegion* region = nullptr;
};
[[gnu::tls_model("initial-exec")]] constinit thread_local OpenRegionsOfThread opened;

// Null: all are claimed; the workers then do not know that they belong to a team.
OpenRegion* claim_region() {
  for (OpenRegion& each : open_regions) {
    if (!each.claimed.exchange(true)) return &each;
  }
  return nullptr;
}

void end_region() {
  if (opened.region == nullptr || !opened.nest.empty()) return;
  opened.region->claimed.store(false);
  opened.region = nullptr;
}

template <class Go>
void start(std::size_t copy, Outlined* function, void* data, unsigned asked, Go go) {
  const SizedVisit entered = enter(copy, function, asked);
  waiting::turn_words(copy, entered.visit);
  opened.nest.push(entered.visit);
  // The workers of an outer region may still have to read theirs.
  const bool is_outermost = entered.visit.counted && has_workers(entered);
  if (is_outermost && opened.region == nullptr) opened.region = claim_region();
  if (!is_outermost || opened.region == nullptr) return go(function, data, entered.threads);
  LibgompRegion& region = opened.region->region;
  region = {nullptr, function, data, &copies[copy], {}};
  go(run_as_member, static_cast<void*>(&region), entered.threads);
}

template <std::size_t copy>
void parallel_start(Outlined* function, void* data, unsigned asked) {
  using Original = void(Outlined*, void*, unsigned);
  start(copy, function, data, asked, [&](Outlined* f, void* d, unsigned threads) {
    original<kStart, Original>(copy)(f, d, threads);
  });
}

template <std::size_t copy>
void parallel_sections_start(Outlined* function, void* data, unsigned asked, unsigned count) {
  using Original = void(Outlined*, void*, unsigned, unsigned);
  start(copy, function, data, asked, [&](Outlined* f, void* d, unsigned threads) {
    original<kSectionsStart, Original>(copy)(f, d, threads, count);
  });
}

template <std::size_t copy, Name name>
void parallel_loop_start(Outlined* function, void* data, unsigned asked, long begin, long end,
                         long step, long chunk) {
  using Original = void(Outlined*, void*, unsigned, long, long, long, long);
  start(copy, function, data, asked, [&](Outlined* f, void* d, unsigned threads) {
    original<name, Original>(copy)(f, d, threads, begin, end, step, chunk);
  });
}

template <std::size_t copy>
void parallel_loop_runtime_start(Outlined* function, void* data, unsigned asked, long begin,
                                 long end, long step) {
  using Original = void(Outlined*, void*, unsigned, long, long, long);
  start(copy, function, data, asked, [&](Outlined* f, void* d, unsigned threads) {
    original<kRuntimeStart, Original>(copy)(f, d, threads, begin, end, step);
  });
}

template <std::size_t copy>
void parallel_end() {
  original<kEnd, void()>(copy)();
  gate::leave(opened.nest.pop());
  end_region();
}

template <class Function>
const void* address(Function* function) {
  return reinterpret_cast<const void*>(function);
}

using Replacements = std::array<const void*, kNames>;

template <std::size_t copy>
Replacements replacements() {
  return {
      address(parallel<copy>),
      address(parallel_reductions<copy>),
      address(parallel_sections<copy>),
      address(parallel_loop<copy, kStatic>),
      address(parallel_loop<copy, kDynamic>),
      address(parallel_loop<copy, kGuided>),
      address(parallel_loop<copy, kNonmonotonicDynamic>),
      address(parallel_loop<copy, kNonmonotonicGuided>),
      address(parallel_loop_runtime<copy, kRuntime>),
      address(parallel_loop_runtime<copy, kNonmonotonicRuntime>),
      address(parallel_loop_runtime<copy, kMaybeNonmonotonicRuntime>),
      address(parallel_start<copy>),
      address(parallel_sections_start<copy>),
      address(parallel_loop_start<copy, kStaticStart>),
      address(parallel_loop_start<copy, kDynamicStart>),
      address(parallel_loop_start<copy, kGuidedStart>),
      address(parallel_loop_runtime_start<copy>),
      address(parallel_end<copy>),
  };
}

template <std::size_t... copy>
Replacements replacements_of(std::size_t wanted, std::index_sequence<copy...>) {
  Replacements found{};
  ((wanted == copy ? void(found = replacements<copy>()) : void()), ...);
  return found;
}

}  // namespace

std::vector<GotRequest> got_requests(std::size_t copy, std::uint32_t pool,
                                     const FunctionByName& symbol) {
  LibgompCopy& mine = copies[copy];
  mine.pool = pool;
  mine.max_threads = reinterpret_cast<int (*)()>(symbol("omp_get_max_threads"));
  mine.team = reinterpret_cast<int (*)()>(symbol("omp_get_num_threads"));
  std::vector<GotRequest> all;
  if (mine.max_threads == nullptr || mine.team == nullptr) return all;
  mine.bounds = TeamBounds(symbol);
  thread_caps::add(copy, pool, symbol);
  const Replacements ours = replacements_of(copy, std::make_index_sequence<kMostCopies>());
  for (std::size_t name = 0; name < kNames; ++name) {
    mine.original[name] = symbol(kSymbols[name]);
    if (mine.original[name] == nullptr) continue;
    all.push_back({kSymbols[name], ours[name], -1, mine.original[name]});
  }
  return all;
}

}  // namespace corewise::govern::libgomp
