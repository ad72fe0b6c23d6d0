#include "own_budget.h"

#include <algorithm>
#include <cmath>

#include "base/text.h"

namespace corewise::govern {
namespace {

// What tells one job from another, and one rank of a job from another.
constexpr const char* kJob[] = {"SLURM_JOB_ID", "SLURM_STEP_ID", "LSB_JOBID",     "PBS_JOBID",
                                "JOB_ID",       "SGE_TASK_ID",   "PMIX_NAMESPACE"};
constexpr const char* kRank[] = {"SLURM_PROCID",       "OMPI_COMM_WORLD_RANK", "PMIX_RANK",
                                 "PMI_RANK",           "MPI_LOCALRANKID",      "PMI_LOCAL_RANK",
                                 "MV2_COMM_WORLD_RANK"};

// So many times its own part a rank gets at most: its libraries start a thread for each, and 128
// ranks with 128 threads each would be too many for many a limit.
constexpr int kMostParts = 8;

// As in the budget: room for what dividing in binary loses.
int whole_threads(double cpus) { return std::max(1, static_cast<int>(std::floor(cpus + 1e-9))); }

bool of_one_rank(Source source) {
  return source == Source::kSlurm || source == Source::kMpi || source == Source::kLsf ||
         source == Source::kPbs || source == Source::kSge;
}

}  // namespace

OwnBudget own_budget(const Budget& budget, const os::Machine& machine) {
  const double allowed = budget.allowed.count();
  double own = allowed, most = allowed, together = allowed;
  bool ranked = false, divided = false;
  std::string caps;
  for (const Constraint& one : budget.constraints) {
    if (one.source == Source::kJoblib) continue;
    own = std::min(own, one.cpus);
    const bool of_rank = of_one_rank(one.source);
    ranked = ranked || of_rank;
    // A grant to each rank by itself is nothing that they share.
    divided = divided || (of_rank && one.ranks == 1);
    most = std::min(most, one.cpus * one.ranks);
    if (one.source == Source::kUser || one.source == Source::kLoky) {
      caps += ", " + one.where + " " + format_cpus(one.cpus);
    } else {
      together = std::min(together, one.cpus * one.ranks);
      if (one.source == Source::kQuota) caps += ", " + one.where + " " + format_cpus(one.cpus);
    }
  }
  std::string name = "cpus " + budget.allowed.to_list();
  const auto add = [&](const char* variable) {
    const auto value = machine.variable(variable);
    if (value) name += std::string(", ") + variable + " " + *value;
  };
  const int threads = whole_threads(own);
  const bool lends = ranked && !divided && whole_threads(most) > threads;
  if (lends) {
    for (const char* variable : kJob) add(variable);
    name += ", ranks";
    return {threads, std::min(whole_threads(most), kMostParts * threads), whole_threads(together),
            std::move(name)};
  }
  name += caps;
  if (ranked) {
    for (const char* variable : kJob) add(variable);
    for (const char* variable : kRank) add(variable);
  }
  return {threads, threads, threads, std::move(name)};
}

}  // namespace corewise::govern
