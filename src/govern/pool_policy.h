// How each pool is kept inside the budget and its cap: what has a gate is hooked, anything else is
// limited. Under govern's lock.
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

// What a cap made of a pool that it speaks for.
struct Capped {
  std::uint32_t pool = 0;
  int most = 0;
  bool gate = false;       // it holds for all threads, from their next region or call on
  bool by_thread = false;  // at the gate it does for each thread what thread_caps.h says
  std::string finding;     // why it does not hold, or not for everybody; empty if it does
};

// What keeps a pool inside: a gate; a gate that only counts, as its library cannot be narrowed; a
// limit; nothing.
enum class Governed { kGate, kCounted, kLimit, kNone };

// "gate", "counted", "limit", "none"
const char* name_of(Governed how);

// A pool and what the policy made of it.
struct GovernedPool {
  std::uint32_t pool = 0;
  Governed how = Governed::kNone;
  std::string finding;
  bool served = false;  // its calls have our buffers
  // Kept inside by a limit: never, if a cap speaks for it, or always.
  enum class ByLimit { kNever, kCap, kAlways } by_limit = ByLimit::kNever;
  int most = 0;  // that the limit was last held to
  LimitsHandle limit = nullptr;
  std::string not_limited;  // why it could not be

  bool has_gate() const { return has_gate_called(name_of(how)); }
  // The same of a name that was read.
  static bool has_gate_called(std::string_view how) {
    return how == name_of(Governed::kGate) || how == name_of(Governed::kCounted);
  }
};

class PoolPolicy {
 public:
  // Slots that every module may have, whatever pools it brings. Those of before are forgotten: they
  // are found again by the same replacements.
  void begin(std::vector<std::vector<SlotRequest>> everywhere);
  void add(const Pool& pool);

  // In all modules that were loaded since the last time; what could not be done.
  std::vector<std::string> rewrite_slots();
  std::vector<std::string> restore_slots();

  // Paths of the modules that have parallel regions, the program's own too.
  std::vector<std::string> region_modules() const;

  // As many threads may call a copy at once as a team has. Tells the gate.
  void cap_teams() const;

  // Caps stay when the pools are let go. `most` is for pools without a gate.
  void set_caps(std::vector<Rule> caps) { caps_ = std::move(caps); }
  bool has_caps() const { return !caps_.empty(); }
  void set_most(int most) { most_ = most; }
  // Brings all pools to what caps and the most say now.
  void obey();
  std::vector<Capped> caps() const;
  // What caps() would be, without a hook or limit set.
  std::vector<Capped> with_caps(std::vector<Rule> caps, bool hooked) const;

  void let_go();

  const std::vector<GovernedPool>& pools() const { return pools_; }

 private:
  GovernedPool& note(const Pool& pool, Governed how, std::string finding = {});
  void add_slots(std::vector<SlotRequest> requests);
  void hook_openmp(const Pool& pool);
  void hook_openblas(const Pool& pool);
  void hook_tbb(const Pool& pool);
  void hook_none(const Pool& pool);
  void limit(GovernedPool& governed);

  struct Gate {
    const Runtime* runtime;
    void (PoolPolicy::*hook)(const Pool& pool);
    bool keeps_caps;  // else a limit does
  };
  static const Gate* gate_of(const Pool& pool);

  std::vector<GovernedPool> pools_;
  std::vector<Rule> caps_;
  int most_ = kMaxBudget;
  std::vector<std::unique_ptr<Slots>> slots_;
  std::size_t openmp_copies_ = 0;
};

}  // namespace corewise::govern
