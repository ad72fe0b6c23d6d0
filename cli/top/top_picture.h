// The picture of `corewise top`: threads that are ready to run, by pool, against our CPUs.
#pragma once

#include <string>
#include <vector>

#include "reach/process_watch.h"
#include "shell/output.h"

namespace corewise::cli {

// Threads that ran or were ready to, on average, by what they belong to.
struct Load {
  double time_s = 0;
  double blas = 0;
  double openmp = 0;
  double other_pools = 0;
  double program = 0;  // in no pool: the main thread, Python's
  double unknown = 0;  // of processes that do not tell

  double sum() const { return blas + openmp + other_pools + program + unknown; }
};

Load load_of(const View& view);

// One line: a block for each thread, the line of the CPUs among them, and what the colours mean.
std::string load_bar(const Load& now, double budget, const Style& style);

// The last minute, a column a second, in `rows` rows and at most the style's width.
std::vector<std::string> load_chart(const std::vector<Load>& history, double budget, int rows,
                                    const Style& style);

}  // namespace corewise::cli
