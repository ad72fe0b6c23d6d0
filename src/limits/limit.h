// Limits: opening one applies its rules to pools, closing it undoes them.
//
// Any number of limits may be open at once, from any threads and tasks, and close in any order.
// For each pool the tightest open one is in force; when the last one closes, the pool gets back
// what it had before the first. The pool's scope decides which limits count:
//   process scope   every open limit counts;
//   thread scope    only limits opened on the thread in question count, since only a thread can
//                   set its own count. If another thread closes a limit, the thread that opened it
//                   undoes it at its next call.
// A limit is sticky: a pool that appears while it is open is limited when it is discovered.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "base/error.h"
#include "pools/pool.h"
#include "rule.h"

namespace corewise {

struct Outcome {
  std::uint32_t pool = 0;
  int before = 0;
  int asked = 0;
  int effective = 0;
  const char* reason = "";
  bool read = false;  // false until `before` and `effective` could be read on the right thread
};

class Limits;
using LimitsHandle = std::shared_ptr<Limits>;

// Brings limits up to date: looks for new pools, applies sticky limits to them, and does what
// another thread left for this one. Every entry point begins with it. True if it added pools.
bool synchronise();

// The same without a search for new pools.
void catch_up();

Result<LimitsHandle> open_limits(std::vector<Rule> rules, std::uint32_t flags, std::uint64_t owner);

// Idempotent. Returns how many pools of thread scope must wait for their own thread.
std::size_t close_limits(Limits& limits);

// Declares that nobody will close the limits. Their counts become what the pools have whenever no
// limit is open: later limits may go above them and return to them.
void abandon_limits(Limits& limits);

std::vector<Outcome> outcomes(const Limits& limits);

// For another component that lowers counts of thread scope and restores them. All calls are about
// the calling thread.
struct CountListener {
  // The count that the pool would have without that component; `now` is what it has.
  int (*own)(const Pool& pool, int now);
  // Limits are about to set the pool's count.
  void (*set)(const Pool& pool);
};
// The listener must live until it is replaced. Null: no listener.
void listen_to_counts(const CountListener* listener);

// Whether any limit of corewise is open, or was left in force for good.
bool limits_in_force();

// By pool id, the count that the open limits give the pool for the calling thread; 0 if none
// reaches it.
std::vector<int> limited_counts();

}  // namespace corewise
