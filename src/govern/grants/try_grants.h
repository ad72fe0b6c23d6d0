// Artificial grants, to try whether a library bends. COREWISE_TRY_GRANTS makes govern() use them
// instead of the ledger's: regions that bend get these, and everything else gets all that it wants,
// so that only the library under test can change a result.
#pragma once

#include <string_view>

#include "base/error.h"
#include "gate.h"

namespace corewise::govern {

// "3": at most three threads. "random:7": at each region another number from 1 to what is wanted; a
// program whose regions start in the same order gets the same numbers from the same seed. Never
// freed; the last call holds. CW_BAD_ARGUMENT for anything else. One caller at a time.
Result<const Grants*> try_grants(std::string_view asked);

}  // namespace corewise::govern
