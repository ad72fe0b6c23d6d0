// Two copies of corewise in one process would each count the same threads against a budget, and
// undo each other's hooks.
#pragma once

#include <optional>

#include "base/error.h"

namespace corewise::govern {

// Why this copy may not govern: another, loaded from elsewhere, does. Call it without a lock held.
std::optional<Error> another_copy_governs();

}  // namespace corewise::govern
