// The gate: every outermost parallel region and BLAS call passes through it, whatever runtime it
// belongs to. It asks for a grant on the way in and gives it back on the way out.
//
// A region is whole, and then it is only counted: its team is as strong as the program asked for,
// whatever was granted. Or it bends (bends.h), and gets what was granted, as BLAS calls do.
//
// A thread is inside from its outermost region or call on, and so is every worker of a governed
// team: what they start has been counted already. There, whole regions stay whole, and what bends
// gets one thread. A team of one does not bind what is nested in it: that may ask again.
//
// Nothing here allocates, locks, waits or prints, so that hooks may call it. A region that was left
// without a word (longjmp, an exception past a C frame) is noticed when its thread enters again
// from no deeper in its stack, and is then given back.
#pragma once

#include <cstddef>
#include <cstdint>

#include "govern/ledger/grant.h"

namespace corewise::govern {

namespace gate {

// A team's region; what a scheduler of threads runs, which come and go; a call into BLAS.
enum class VisitKind { kRegion, kArena, kCall };

}  // namespace gate

// What a region or call asks for.
struct GrantRequest {
  int wanted = 1;
  gate::VisitKind kind = gate::VisitKind::kRegion;
  bool whole = false;  // it will run on `wanted` threads, whatever is granted
  bool again = false;  // another thread of the same caller has asked just before
};

// Whom the gate asks; the ledger, but for tests. Both may be called in the child of a fork.
struct Grants {
  Grant (*acquire)(void* self, const GrantRequest& request) noexcept;
  void (*release)(void* self, const Grant& grant) noexcept;
  void* self;
};

namespace gate {

// Opens the gate's other side: from now on `grants` is asked. Null: everybody passes, ungoverned.
// It must live on, as a thread may be on its way with it.
void open(const Grants* grants);
bool is_open();

// From now on teams that bend get at most so many threads, whatever is granted; at least 1.
void cap_teams(int most);

// From now on calls of this pool, and regions that bend, want at most so many threads; 0: as many
// as they like. A region that is already running keeps the threads it was granted. Pools above
// kMostCapped have no cap. Numbers are those of discover.h.
inline constexpr std::uint32_t kMostCapped = 1024;
inline constexpr std::uint32_t kNoPool = kMostCapped;
void cap_pool(std::uint32_t pool, int most);
// 0: none.
int cap_of(std::uint32_t pool);
// Another number whenever a cap has changed.
std::uint32_t cap_change();

// One way in; to be kept until the way out. Copies are the same way.
struct Visit {
  int threads = 1;        // to be used now: at least 1, at most what was wanted
  bool counted = false;   // leave() has something to do
  bool governed = false;  // counted, or inside one that was: its workers are to join_team()
  bool crowded = false;   // others want the CPUs too, or the team is larger than its grant
};

// `whole`: the team will be `wanted` strong whatever is granted. `pool`: whose cap holds for what
// is not whole.
Visit enter(VisitKind kind, int wanted, bool whole = false, std::uint32_t pool = kNoPool);
void leave(const Visit& visit);

// What a region or call holds until its way out.
struct Holding {
  Grant grant;
  const Grants* asked = nullptr;
  int team = 1;  // threads that it really runs on
  int withheld = 0;
  std::uint64_t since_ns = 0;  // only where something was withheld
};

// A region that no thread's frame holds: a scheduler's, whose threads come and go. Any thread may
// call, one at a time.
class Tenancy {
 public:
  // Threads to be used from now on, instead of those granted before. `again`: as in Grants.
  int enter(int wanted, std::uint32_t pool, bool again = false);
  void leave();

 private:
  Holding held_;
  bool counted_ = false;
  std::uint32_t forks_ = 0;  // of this process's line, when it was counted
};

// Whether what the calling thread starts now has been counted already.
bool is_inside();

// The calling thread is a worker of a governed team so strong from now on; what it was before.
int join_team(int team);

// For the life of the object its thread is a worker of a governed team.
class TeamMember {
 public:
  // A team of one leaves the thread in the team that it was in.
  explicit TeamMember(int team) : before_(join_team(team)) {
    if (team <= 1) join_team(before_);
  }
  ~TeamMember() { join_team(before_); }
  TeamMember(const TeamMember&) = delete;
  TeamMember& operator=(const TeamMember&) = delete;

 private:
  int before_;
};

// Visits whose way in and way out are separate calls of a library, nested in one another: which of
// them count. Those deeper than 32 do not.
class Nest {
 public:
  void push(const Visit& visit) {
    if (depth_++ < kDeepest) counted_ = counted_ << 1U | (visit.counted ? 1U : 0U);
  }
  // The innermost; one that was never pushed does not count.
  Visit pop() {
    if (depth_ == 0) return {};
    --depth_;
    if (depth_ >= kDeepest) return {};
    const bool counted = (counted_ & 1U) != 0;
    counted_ >>= 1U;
    return {.threads = 1, .counted = counted};
  }
  bool empty() const { return depth_ == 0; }

 private:
  static constexpr unsigned kDeepest = 32;
  std::uint32_t counted_ = 0;
  unsigned depth_ = 0;
};

// Told of what concerns every library of the process: that a region of several threads starts,
// whose workers must not get more; and that nobody is inside any more (others may just come in
// again).
struct Observer {
  void (*busy)();
  void (*idle)();
};
void observe(const Observer* observer);

// Whether a thread of this process is inside.
bool is_busy();

// For the process since it started, or was forked.
struct Counts {
  std::uint64_t regions = 0;    // outermost ones that asked
  std::uint64_t calls = 0;      // likewise, into BLAS
  std::uint64_t nested = 0;     // regions and calls inside others that wanted more than one thread
  std::uint64_t granted = 0;    // threads, of all that asked
  std::uint64_t shortened = 0;  // how many got fewer than they wanted
  std::uint64_t withheld = 0;   // threads that they did not get
  double not_needed_s = 0;      // these threads' time: what would have been oversubscription
  std::uint64_t abandoned = 0;  // left without a word
  std::uint64_t widest = 0;     // most threads that one region or call wanted
  std::uint64_t bending = 0;    // of the regions, those that bend
  std::uint64_t bent = 0;       // of these, those that got fewer threads than they wanted
  // Sizes of the teams that were bent, as wanted and as got: bit n for n threads, the last bit for
  // as many or more.
  std::uint64_t bent_from = 0;
  std::uint64_t bent_to = 0;
};
inline constexpr int kLastSize = 52;  // a double holds that many bits, and so does JSON
Counts counts();

// The page that they stand in, so that it may be exchanged for one that others see too, and what
// such a page says. Exchanged only while nobody counts.
inline constexpr std::size_t kCountsPage = 4096;
void* counts_page();
Counts counts_in(const void* page);

}  // namespace gate
}  // namespace corewise::govern
