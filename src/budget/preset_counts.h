// Variables by which libraries without a gate size their pools: Python and joblib, which start
// processes, and Polars, Rayon, TensorFlow and others, which start threads.
//
// `corewise run --budget N` presets them to the budget. Nobody else can hold these pools to it: no
// gate reaches them, and they count the machine's CPUs. corewise reads one of these variables
// itself, LOKY_MAX_CPU_COUNT, as a bound of the user's. So the marker lists what we set.
#pragma once

#include <span>
#include <vector>

#include "os/machine.h"

namespace corewise::preset_counts {

struct Preset {
  const char* kind;  // the option of `corewise run` and `corewise env` that sets it
  const char* name;
  bool cpus = false;   // holds CPUs, and so the budget of all levels; else threads of one process
  bool preset = true;  // false: it would overrule others, so that only the user may set it
  const char* unless = nullptr;  // another variable by which the user may have given this count
};

std::span<const Preset> all();

// "NAME=2 OTHER=2": what we set, and to which values.
inline constexpr const char* kMarker = "COREWISE_PRESET";

// Whether the variable has the value that we gave it: if the program or its user changed it, it is
// theirs.
bool is_ours(const char* name, const os::Machine& machine);

// The variables to set to `budget` for a program that is started on `cpus` CPUs with the variables
// of `machine`; none if it would count no more CPUs than that by itself.
std::vector<const Preset*> for_budget(int budget, int cpus, const os::Machine& machine);

}  // namespace corewise::preset_counts
