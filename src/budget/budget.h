// The budget: the CPUs that we may use, and for each constraint where it was read.
//
//   budget = min(CPUs the main thread may use, quota of every ancestor cgroup,
//                what a scheduler granted, what the user allows)
//
// It is a fraction, since quotas are. floor (never below 1) is how many threads never wait for one
// another; ceil is how many can use all of it. docs/budget.md has every source and formula.
//
// Nothing read here can fail the computation: a missing file is no constraint, and a finding names
// content that we cannot understand and leave out. Only the caller's own cap can be an error.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "budget_types.h"
#include "os/machine.h"

namespace corewise {

class Json;

// Reads the machine. `cap` is the caller's own upper bound: an error when it is not a number, not
// above 0, or above the machine.
Result<Budget> compute_budget(const os::Machine& machine, std::optional<double> cap = std::nullopt);

// Whether a mask, cgroup or quota has changed since the budget saw it. Compares contents: files in
// /proc and in cgroups keep no modification times. Reads no variables, so that it may run in any
// thread; recomputing reads them again.
bool budget_changed(const Budget& budget, const os::Machine& machine);

// A cap as users write it, "8", "1.5", "500m"; an error in words otherwise.
Result<double> parse_cap(std::string_view text);

// Its fields, within an object.
void write_budget(Json& json, const Budget& budget);
std::string budget_json(const Budget& budget);

}  // namespace corewise
