#include "own_budget.h"

#include <algorithm>
#include <cmath>

#include "base/text.h"

namespace corewise::govern {
namespace {

// What tells one rank of a job from another, and one job from another.
constexpr const char* kRank[] = {
    "SLURM_JOB_ID",         "SLURM_STEP_ID", "SLURM_PROCID", "LSB_JOBID",       "PBS_JOBID",
    "OMPI_COMM_WORLD_RANK", "PMIX_RANK",     "PMI_RANK",     "MPI_LOCALRANKID", "PMI_LOCAL_RANK",
    "MV2_COMM_WORLD_RANK",  "JOB_ID",        "SGE_TASK_ID"};

bool of_one_rank(Source source) {
  return source == Source::kSlurm || source == Source::kMpi || source == Source::kLsf ||
         source == Source::kPbs || source == Source::kSge;
}

}  // namespace

OwnBudget own_budget(const Budget& budget, const os::Machine& machine) {
  double least = budget.allowed.count();
  bool ranked = false;
  std::string name = "cpus " + budget.allowed.to_list();
  for (const Constraint& one : budget.constraints) {
    if (one.source == Source::kJoblib) continue;
    least = std::min(least, one.cpus);
    ranked = ranked || of_one_rank(one.source);
    if (one.source == Source::kQuota || one.source == Source::kUser ||
        one.source == Source::kLoky) {
      name += ", " + one.where + " " + format_cpus(one.cpus);
    }
  }
  for (const char* variable : kRank) {
    const auto value = ranked ? machine.variable(variable) : std::nullopt;
    if (value) name += std::string(", ") + variable + " " + *value;
  }
  // As in the budget: room for what dividing in binary loses.
  return {std::max(1, static_cast<int>(std::floor(least + 1e-9))), std::move(name)};
}

}  // namespace corewise::govern
