#include "ranks.h"

#include <fmt/format.h>

#include <cstdlib>
#include <string_view>

namespace corewise::cli {

bool speaks_for_ranks() {
  for (const char* name : {"OMPI_COMM_WORLD_LOCAL_RANK", "MPI_LOCALRANKID",
                           "MV2_COMM_WORLD_LOCAL_RANK", "PMI_LOCAL_RANK", "SLURM_LOCALID"}) {
    // mpirun inside a Slurm job passes on the SLURM_LOCALID of its own helper, so that one is last.
    if (const char* rank = std::getenv(name)) return std::string_view(rank) == "0";
  }
  return true;
}

std::string division_among_ranks(const Budget& budget) {
  for (const Constraint& one : budget.constraints) {
    if (!one.binding || one.ranks == 1) continue;
    const char* crowded = one.cpus < 1 ? "; more ranks than CPUs, so they take turns" : "";
    return fmt::format(" for each rank ({}{})", one.detail, crowded);
  }
  return "";
}

}  // namespace corewise::cli
