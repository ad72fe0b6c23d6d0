#include "own_budget.h"

#include <algorithm>

#include "base/text.h"

namespace corewise::govern {
namespace {

// Variables that tell one job from another, and one rank of a job from another.
constexpr const char* kJob[] = {"SLURM_JOB_ID",       "SLURM_STEP_ID", "LSB_JOBID",
                                "PBS_JOBID",          "JOB_ID",        "SGE_TASK_ID",
                                "_CONDOR_MACHINE_AD", "PMIX_NAMESPACE"};
constexpr const char* kRank[] = {"SLURM_PROCID",       "OMPI_COMM_WORLD_RANK", "PMIX_RANK",
                                 "PMI_RANK",           "MPI_LOCALRANKID",      "PMI_LOCAL_RANK",
                                 "MV2_COMM_WORLD_RANK"};

// A rank gets at most this many times its own part. Its libraries start a thread for each, and 128
// ranks with 128 threads each would exceed many a limit.
constexpr int kMostParts = 8;

bool of_one_rank(Source source) {
  return source == Source::kSlurm || source == Source::kMpi || source == Source::kLsf ||
         source == Source::kPbs || source == Source::kSge || source == Source::kCondor;
}

}  // namespace

OwnBudget own_budget(const Budget& budget, const os::Machine& machine) {
  const double allowed = budget.allowed.count();
  double own = allowed, most = allowed, together = allowed;
  bool ranked = false, divided = false;
  std::string caps;
  for (const Constraint& one : budget.constraints) {
    if (one.source == Source::kJoblib) continue;
    const bool of_rank = of_one_rank(one.source);
    const bool by_user = one.source == Source::kUser || one.source == Source::kLoky;
    const double of_all = one.cpus * one.ranks;
    ranked = ranked || of_rank;
    // A grant to each rank by itself is not shared.
    divided = divided || (of_rank && one.ranks == 1);
    own = std::min(own, one.cpus);
    most = std::min(most, of_all);
    if (!by_user) together = std::min(together, of_all);
    if (by_user || one.source == Source::kQuota) {
      caps += ", " + one.where + " " + format_cpus(one.cpus);
    }
  }
  OwnBudget found;
  found.threads = found.most = found.together = whole_threads(own);
  found.hard = whole_threads(together);
  const bool lends = ranked && !divided && whole_threads(most) > found.threads;
  if (lends) {
    found.most = std::min(whole_threads(most), kMostParts * found.threads);
    found.together = whole_threads(together);
  }
  found.name = "cpus " + budget.allowed.to_list() + (lends ? ", ranks" : caps);
  const auto name_by = [&](const char* variable) {
    const auto value = machine.variable(variable);
    if (value) found.name += std::string(", ") + variable + " " + *value;
  };
  if (ranked) std::ranges::for_each(kJob, name_by);
  if (ranked && !lends) std::ranges::for_each(kRank, name_by);
  return found;
}

}  // namespace corewise::govern
