// Three levels: ranks have their rows, OpenMP threads take chunks of them, and each chunk's
// distances are one product by OpenBLAS.
#include "lloyd.h"

#include <cblas.h>
#include <mpi.h>

#include <algorithm>
#include <utility>

namespace {

constexpr std::size_t kChunk = 256;  // rows whose distances fit a core's cache

// What one thread, then one rank, then all of them found.
struct Totals {
  std::vector<double> sums;  // of the rows of each cluster, then their numbers
  double inertia = 0;
  long long changed = 0;

  explicit Totals(std::size_t cells) : sums(cells) {}

  void add(const Totals& other) {
    for (std::size_t i = 0; i < sums.size(); ++i) sums[i] += other.sums[i];
    inertia += other.inertia;
    changed += other.changed;
  }

  void add_ranks() {
    MPI_Allreduce(MPI_IN_PLACE, sums.data(), static_cast<int>(sums.size()), MPI_DOUBLE, MPI_SUM,
                  MPI_COMM_WORLD);
    MPI_Allreduce(MPI_IN_PLACE, &inertia, 1, MPI_DOUBLE, MPI_SUM, MPI_COMM_WORLD);
    MPI_Allreduce(MPI_IN_PLACE, &changed, 1, MPI_LONG_LONG, MPI_SUM, MPI_COMM_WORLD);
  }
};

double squared(const double* a, const double* b, std::size_t columns) {
  double sum = 0;
  for (std::size_t i = 0; i < columns; ++i) sum += (a[i] - b[i]) * (a[i] - b[i]);
  return sum;
}

// Gives each row of a chunk its nearest centre. `norms` are those of the centres.
void assign(const Rows& rows, std::size_t begin, std::size_t end,
            const std::vector<double>& centers, const std::vector<double>& norms,
            std::vector<double>& distances, std::vector<std::int32_t>& labels, Totals& totals) {
  const std::size_t clusters = norms.size(), columns = rows.columns;
  for (std::size_t i = begin; i < end; ++i) {
    std::copy(norms.begin(), norms.end(),
              distances.begin() + static_cast<long>((i - begin) * clusters));
  }
  // |x - c|^2 without |x|^2, which is the same for all centres.
  cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasTrans, static_cast<int>(end - begin),
              static_cast<int>(clusters), static_cast<int>(columns), -2.0, rows.row(begin),
              static_cast<int>(columns), centers.data(), static_cast<int>(columns), 1.0,
              distances.data(), static_cast<int>(clusters));
  for (std::size_t i = begin; i < end; ++i) {
    const double* from = distances.data() + (i - begin) * clusters;
    const auto nearest = static_cast<std::size_t>(std::min_element(from, from + clusters) - from);
    totals.changed += std::exchange(labels[i], static_cast<std::int32_t>(nearest)) !=
                      static_cast<std::int32_t>(nearest);
    totals.inertia += squared(rows.row(i), centers.data() + nearest * columns, columns);
    double* sum = totals.sums.data() + nearest * columns;
    for (std::size_t c = 0; c < columns; ++c) sum[c] += rows.row(i)[c];
    totals.sums[clusters * columns + nearest] += 1;
  }
}

Totals assign_all(const Rows& rows, const std::vector<double>& centers,
                  std::vector<std::int32_t>& labels) {
  const std::size_t columns = rows.columns, clusters = centers.size() / columns;
  std::vector<double> norms(clusters);
  for (std::size_t k = 0; k < clusters; ++k) {
    const double* center = centers.data() + k * columns;
    norms[k] = cblas_ddot(static_cast<int>(columns), center, 1, center, 1);
  }
  Totals all(clusters * (columns + 1));
#pragma omp parallel
  {
    Totals own(all.sums.size());
    std::vector<double> distances(kChunk * clusters);
#pragma omp for schedule(static)
    for (std::size_t begin = 0; begin < rows.count; begin += kChunk) {
      assign(rows, begin, std::min(begin + kChunk, rows.count), centers, norms, distances, labels,
             own);
    }
#pragma omp critical
    all.add(own);
  }
  all.add_ranks();
  return all;
}

}  // namespace

Clustering lloyd(const Rows& rows, std::vector<double> centers, int max_iterations) {
  const std::size_t columns = rows.columns, clusters = centers.size() / columns;
  Clustering made{std::move(centers), std::vector<std::int32_t>(rows.count, -1)};
  for (; made.iterations < max_iterations; ++made.iterations) {
    const Totals found = assign_all(rows, made.centers, made.labels);
    if (found.changed == 0) break;
    for (std::size_t k = 0; k < clusters; ++k) {
      const double members = found.sums[clusters * columns + k];
      if (members == 0) continue;
      for (std::size_t c = 0; c < columns; ++c) {
        made.centers[k * columns + c] = found.sums[k * columns + c] / members;
      }
    }
  }
  made.inertia = assign_all(rows, made.centers, made.labels).inertia;
  return made;
}
