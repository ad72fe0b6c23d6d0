// Ranks of an MPI or Slurm job that share this machine: one of them speaks for all.
#pragma once

#include <string>

#include "budget/budget.h"

namespace corewise::cli {

// Whether this process speaks for all ranks of its machine, or is not a rank.
bool speaks_for_ranks();

// How the machine is divided among local ranks, in parentheses after a space; "" if it is not.
std::string division_among_ranks(const Budget& budget);

}  // namespace corewise::cli
