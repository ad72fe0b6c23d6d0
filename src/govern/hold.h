// How each pool is kept inside the budget: what has a gate is hooked, anything else is limited.
// Under govern's lock.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "../limit.h"
#include "../pool.h"
#include "hook.h"

namespace corewise::govern {

struct Held {
  std::uint32_t pool = 0;
  const char* how = "none";  // "gate", "counted", "limit", "none"
  std::string finding;
  bool served = false;  // by the arena
};

class Hold {
 public:
  // Slots that every module may have, whatever pools it brings.
  void add_slots(std::vector<SlotRequest> requests);
  void add(const Pool& pool, int budget);

  // In all modules that were loaded since the last time.
  std::vector<std::string> rewrite_slots();
  // As many threads may call a copy at once as a team has. Tells the gate.
  void cap_teams() const;

  // Says what could not be given back. Slots that were restored are known until they are
  // forgotten, so that those which could not be are tried again.
  std::vector<std::string> restore_slots();
  void forget_slots() { slots_.clear(); }
  void close();

  const std::vector<Held>& pools() const { return pools_; }

 private:
  void note(const Pool& pool, const char* how, std::string finding = {});
  void hook_openmp(const Pool& pool, int budget);
  void hook_openblas(const Pool& pool, int budget);
  void limit(const Pool& pool, int budget);

  std::vector<Held> pools_;
  std::vector<std::unique_ptr<Slots>> slots_;
  std::vector<LimitsHandle> limits_;
  std::size_t openmp_copies_ = 0;
};

}  // namespace corewise::govern
