// The plan: a budget divided over processes x OpenMP x BLAS.
//
// A pure function of its input: it reads nothing and sets nothing. It promises, and the tests check
// on random input:
//   - processes x openmp x blas <= floor(budget), and no factor is 0;
//   - the callers of one OpenBLAS stay within its slots (caller_slots.h): a process's OpenMP
//     threads may all be inside it at once, and each worker holds a slot too, whether the plan
//     starts it or it already runs. A caller is never refused, so a copy with no slot to spare
//     still gets one;
//   - the user's wish is an upper bound, and no factor falls when the budget rises.
//
// OpenMP gets the share of one process (floor(budget) / processes), with BLAS at 1 inside it, since
// one OpenBLAS serves one parallel call at a time. BLAS gets the share in programs that have no
// other pool. A wish for one level is served first, and the other level gets the rest.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/error.h"
#include "budget/preset_counts.h"
#include "pools/pool_facts.h"

namespace corewise {

struct Wishes {
  std::optional<int> processes;
  std::optional<int> openmp;
  std::optional<int> blas;
};

struct PlanInput {
  double cpus = 1;    // the budget
  int processes = 0;  // how many the program starts; 0: not known, taken as one
  Wishes wishes;
  // Empty: not known, taken as a program with both levels. `threads` is what a pool runs already;
  // 0 for a program that is yet to start.
  std::vector<PoolFacts> pools;
  std::vector<EnvVariable> environment;            // variables that runtimes read when they load
  std::span<const preset_counts::Preset> presets;  // those of libraries that are no runtime
};

struct PlanLevel {
  const char* level = "";  // "processes", "openmp", "blas"
  int count = 1;
  std::string reason;
};

struct PlanVariable {
  std::string name;
  int value = 1;
};

struct PlanLimit {
  std::string pool;
  std::string path;
  Api api = CW_API_BLAS;
  int threads = 1;
  std::string reason;
};

struct Plan {
  double cpus = 1;
  int floor = 1;
  PlanLevel processes;
  PlanLevel openmp;  // threads of each process
  PlanLevel blas;    // threads of each BLAS call
  int threads = 1;   // the product
  int unused = 0;    // CPUs of floor that the division leaves over
  std::vector<PlanVariable> environment;
  std::vector<PlanLimit> limits;
};

// An error for a budget that is not a number above 0, for negative counts, for wishes below 1, and
// for either above CW_MAX_THREADS.
Result<Plan> make_plan(const PlanInput& input);

std::string plan_json(const Plan& plan);

}  // namespace corewise
