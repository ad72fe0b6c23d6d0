// What a region or call is granted, from the ledger through the gate to the runtime and back.
#pragma once

#include "ledger_layout.h"

namespace corewise::govern {

// The threads a region may use now. Copies are the same grant: give it back once.
struct Grant {
  int threads = 1;
  Claim claim = 0;         // 0: the ledger did not record it; there is nothing to give back
  bool hungry = false;     // for the ledger's own use
  bool contended = false;  // others want the CPUs too: less than what the budget would allow
};

}  // namespace corewise::govern
