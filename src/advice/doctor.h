// The doctor: says what is wrong with a process.
//
// examine() is a pure function of what is known about a process, so that live processes, processes
// read from outside and recorded ones get the same diagnosis. Each finding says what is wrong, why,
// and the exact remedy.
#pragma once

#include <vector>

#include "facts.h"
#include "finding.h"

namespace corewise {

// In order of severity, then of the rule table. Empty: nothing is wrong.
std::vector<Finding> examine(const ProcessFacts& facts);

}  // namespace corewise
