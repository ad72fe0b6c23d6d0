// The gate: every outermost parallel region and BLAS call passes through it, whatever runtime it
// belongs to. It asks for a grant on the way in and gives it back on the way out.
//
// A whole region is only counted: its team is as large as the program asked for, whatever was
// granted. A region that bends (bends.h) gets what was granted, as BLAS calls do.
//
// A thread is inside from its outermost region or call on, and so is every worker of a governed
// team: what they start has been counted already. Inside, whole regions stay whole, and a region
// that bends gets one thread. A team of one does not bind the regions nested in it: they may ask
// again.
//
// Nothing here allocates, locks, waits or prints, so hooks may call it. If a region ends without
// our seeing it (longjmp, an exception past a C frame), we notice when its thread enters again from
// no deeper in its stack, and give its grant back then.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "govern/ledger/grant.h"
#include "tally.h"

namespace corewise::govern {

namespace gate {

// A team's region; an arena, whose scheduler's threads come and go; a call into BLAS.
enum class VisitKind { kRegion, kArena, kCall };

}  // namespace gate

// What a region or call asks for.
struct GrantRequest {
  int wanted = 1;
  gate::VisitKind kind = gate::VisitKind::kRegion;
  bool whole = false;  // it will run on `wanted` threads, whatever is granted
  bool again = false;  // another thread of the same caller has asked just before
};

// Where the gate gets grants: the ledger, except in tests. Both may run in the child of a fork.
struct Grants {
  Grant (*acquire)(void* self, const GrantRequest& request) noexcept;
  void (*release)(void* self, const Grant& grant) noexcept;
  void* self;
};

namespace gate {

// From now on the gate asks `grants`. Null: everybody passes, ungoverned. `grants` must live for
// good, as a thread may be about to use it.
void open(const Grants* grants);
bool is_open();

// From now on teams that bend get at most this many threads, whatever is granted; at least 1.
void cap_teams(int most);

// From now on calls of this pool, and its regions that bend, want at most this many threads; 0: no
// cap. A region that is already running keeps the threads it was granted. Pools above kMostCapped
// have no cap. Pool numbers are those of discover.h.
inline constexpr std::uint32_t kMostCapped = 1024;
inline constexpr std::uint32_t kNoPool = kMostCapped;
void cap_pool(std::uint32_t pool, int most);
// 0: none.
int cap_of(std::uint32_t pool);
// Changes whenever a cap does.
std::uint32_t cap_change();

// One entry; keep it until leave(). Copies are the same visit.
struct Visit {
  int threads = 1;        // to use now: at least 1, at most what was wanted
  bool counted = false;   // leave() has something to do
  bool governed = false;  // counted, or inside one that was: its workers must join_team()
  bool crowded = false;   // others want the CPUs too, or the team is larger than its grant
};

// `whole`: the team will have `wanted` threads whatever is granted. `pool`: its cap holds unless
// the region is whole.
Visit enter(VisitKind kind, int wanted, bool whole = false, std::uint32_t pool = kNoPool);
void leave(const Visit& visit);

// What a region or call holds until it leaves.
struct Holding {
  Grant grant;
  const Grants* asked = nullptr;
  int team = 1;  // threads that it really runs on
  int withheld = 0;
  std::uint64_t since_ns = 0;  // only where something was withheld
};

// A region that belongs to no thread's frame: a scheduler's, whose threads come and go. Any thread
// may call, one at a time.
class Tenancy {
 public:
  // Threads to be used from now on, instead of those granted before. `again`: as in GrantRequest.
  int enter(int wanted, std::uint32_t pool, bool again = false);
  // Asks anew while the region goes on: it does not count as one more. Threads to be used from now
  // on; none if it has not entered, or the process was forked since.
  std::optional<int> renew(int wanted, std::uint32_t pool);
  bool is_entered() const { return counted_; }
  void leave();

 private:
  Holding held_;
  bool counted_ = false;
  std::uint32_t forks_ = 0;  // of this process's line, when it was counted
};

// Whether what the calling thread starts now has been counted already.
bool is_inside();

// The calling thread now works for a governed team of this size. Returns the size before.
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

// Which nested visits count, for libraries where entering and leaving are separate calls. Visits
// deeper than 32 do not.
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

// Told what concerns every library of the process: that a region of several threads starts, whose
// workers must not get more; and that no thread is inside any more (another may be just entering).
struct Observer {
  void (*busy)();
  void (*idle)();
};
void observe(const Observer* observer);

// Whether a thread of this process is inside.
bool is_busy();

// For the process since it started, or was forked.
Tally tally();

// The page that holds the tally, so that the caller can exchange it for a shared one, and the tally
// in such a page. Exchange it only while no thread counts.
inline constexpr std::size_t kTallyPage = 4096;
void* tally_page();
Tally tally_in(void* page);
// From now on counts elsewhere: for the child of a fork whose parent's page is shared memory, and
// which may make no system call to put another in its place.
void leave_tally_page();

}  // namespace gate
}  // namespace corewise::govern
