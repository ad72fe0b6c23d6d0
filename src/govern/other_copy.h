// Two copies of corewise in one process would each count the same threads against a budget, and
// undo each other's hooks.
#pragma once

#include <optional>

#include "base/error.h"

namespace corewise::govern {

// Why this copy may not govern: another one, loaded from elsewhere, does. No lock may be held.
std::optional<Error> another_copy_governs();

}  // namespace corewise::govern
