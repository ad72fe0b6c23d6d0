// A program that changes its user, or enters namespaces: the control socket belongs to a user, and
// its thread may be one too many.
#pragma once

#include <vector>

#include "govern/patch/hook.h"

namespace corewise::agent {

// Asks for the C library's functions that do so, to be hooked.
void hook_identity(std::vector<govern::GotRequest>& requests);

}  // namespace corewise::agent
