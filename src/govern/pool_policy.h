// How each pool is kept inside the budget and its cap: a pool with a gate is hooked, any other is
// limited. The caller holds govern's lock.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "govern/ledger/ledger_layout.h"
#include "govern/patch/hook.h"
#include "limits/limit.h"
#include "limits/match.h"
#include "pools/pool.h"

namespace corewise::govern {

// What a cap did to a pool that it covers.
struct Capped {
  std::uint32_t pool = 0;
  int most = 0;
  bool gate = false;       // holds for every thread, from its next region or call on
  bool by_thread = false;  // at the gate, thread by thread, as thread_caps.h says
  std::string finding;     // why the cap does not hold, or not for every thread; else empty
};

// What keeps a pool inside: a gate; a gate that only counts, as its library cannot be narrowed; a
// limit; nothing.
enum class Governed { kGate, kCounted, kLimit, kNone };

// "gate", "counted", "limit", "none"
const char* name_of(Governed how);

// A pool and what the policy did with it.
struct GovernedPool {
  std::uint32_t pool = 0;
  Governed how = Governed::kNone;
  std::string finding;
  bool served = false;  // its calls use our buffers
  // When a limit keeps it inside: never, only under a cap, or always.
  enum class ByLimit { kNever, kCap, kAlways } by_limit = ByLimit::kNever;
  int most = 0;  // what the limit was last held to
  LimitsHandle limit = nullptr;
  std::string not_limited;  // why it could not be limited

  bool has_gate() const { return has_gate_called(name_of(how)); }
  // The same for a name that was read.
  static bool has_gate_called(std::string_view how) {
    return how == name_of(Governed::kGate) || how == name_of(Governed::kCounted);
  }
};

class PoolPolicy {
 public:
  // GOT entries that any module may have, whatever pools it brings. Drops the earlier list;
  // rewriting with the same replacements finds the same entries.
  void begin(std::vector<std::vector<GotRequest>> everywhere);
  void add(const Pool& pool);

  // In all modules loaded since the last time. Returns what could not be done.
  std::vector<std::string> rewrite_got();
  std::vector<std::string> restore_got();
  // Whether all entries of begin() are rewritten, in all these modules.
  bool rewrote_everywhere() const;

  // Paths of the modules that have parallel regions, including the program's own.
  std::vector<std::string> region_modules() const;

  // Bounds teams at the gate: every thread of a team may call an OpenBLAS copy at once.
  void cap_teams() const;

  // Caps survive let_go(). `most` is for pools without a gate.
  void set_caps(std::vector<Rule> caps) { caps_ = std::move(caps); }
  bool has_caps() const { return !caps_.empty(); }
  void set_most(int most) { most_ = most; }
  int most() const { return most_; }
  // Applies the current caps and `most` to all pools.
  void obey();
  std::vector<Capped> caps() const;
  // What caps() would return, without setting a hook or limit.
  std::vector<Capped> with_caps(std::vector<Rule> caps, bool hooked) const;

  void let_go();

  const std::vector<GovernedPool>& pools() const { return pools_; }

 private:
  GovernedPool& note(const Pool& pool, Governed how, std::string finding = {});
  void add_requests(std::vector<GotRequest> requests);
  void hook_openmp(const Pool& pool);
  void hook_openblas(const Pool& pool);
  void hook_tbb(const Pool& pool);
  void hook_none(const Pool& pool);
  void limit(GovernedPool& governed);

  std::vector<GovernedPool> pools_;
  std::vector<Rule> caps_;
  int most_ = kMaxBudget;
  std::vector<std::unique_ptr<GotEntries>> got_;  // first those of begin()
  std::size_t everywhere_ = 0;                    // how many these are
  std::size_t openmp_copies_ = 0;
};

}  // namespace corewise::govern
