// Lloyd's algorithm over the ranks of MPI_COMM_WORLD, each with its part of the rows.
#pragma once

#include <cstdint>
#include <vector>

#include "npy.h"

struct Clustering {
  std::vector<double> centers;  // clusters x columns
  std::vector<std::int32_t> labels;
  double inertia = 0;  // of all ranks
  int iterations = 0;
};

// Starts from `centers` and stops when no label changes, or after max_iterations. A cluster that
// becomes empty keeps its centre, where scikit-learn would move it to the farthest row.
Clustering lloyd(const Rows& rows, std::vector<double> centers, int max_iterations);
