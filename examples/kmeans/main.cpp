// kmeans FILE.npy CLUSTERS [ITERATIONS] [--free]
//
// k-means over MPI ranks, OpenMP threads and OpenBLAS, as a user of corewise writes it: the plan
// divides the machine among the ranks, limits keep BLAS to it, and the process is governed. --free
// leaves all that out. Starts from the first CLUSTERS rows; rank 0 prints the result.
#include <mpi.h>
#include <omp.h>

#include <climits>
#include <cmath>
#include <corewise.hpp>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <stdexcept>
#include <string>

#include "lloyd.h"

namespace {

// The number behind "NAME": in one level of a plan, docs/json.md.
int planned(const std::string& json, const std::string& level) {
  const std::size_t at = json.find("\"" + level + "\"");
  const std::size_t count = at == std::string::npos ? at : json.find("\"count\":", at);
  if (count == std::string::npos) throw std::runtime_error("the plan has no level " + level);
  return std::atoi(json.c_str() + count + std::strlen("\"count\":"));
}

// In force while it lives: what this rank may use of its machine.
struct Share {
  corewise::governed governed;
  corewise::limits limits;

  static Share take(int rank) {
    // The budget is this rank's already: corewise divides the machine among local ranks.
    const corewise::document plan = corewise::plan_json();
    if (!plan) throw std::runtime_error(plan.error.message());
    const corewise::counts counts{.openmp = planned(plan.json, "openmp"),
                                  .blas = planned(plan.json, "blas")};
    if (rank == 0) {
      std::printf("plan for each rank: %d OpenMP threads, %d in each BLAS call\n", counts.openmp,
                  counts.blas);
    }
    Share share{corewise::governed(), corewise::limits(counts)};
    if (!share.governed) throw std::runtime_error(share.governed.error().message());
    if (!share.limits) throw std::runtime_error(share.limits.error().message());
    return share;
  }
};

// A whole number above 0; else 0.
int number(const char* word) {
  char* end = nullptr;
  const long value = std::strtol(word, &end, 10);
  return *end == '\0' && value > 0 && value <= INT_MAX ? static_cast<int>(value) : 0;
}

int run(int count, char** words, int rank, int ranks) {
  const bool free = std::strcmp(words[count - 1], "--free") == 0;
  if (free) --count;
  const int iterations = count > 3 ? number(words[3]) : 300;
  if (count < 3 || count > 4 || iterations == 0) {
    throw std::runtime_error("usage: kmeans FILE.npy CLUSTERS [ITERATIONS] [--free]");
  }
  const int clusters = number(words[2]);
  const Rows rows =
      read_rows(words[1], static_cast<std::size_t>(rank), static_cast<std::size_t>(ranks));
  if (clusters < 1 || static_cast<std::size_t>(clusters) > rows.all) {
    throw std::runtime_error(std::string(words[2]) + " clusters: give a number from 1 to " +
                             std::to_string(rows.all) + ", the rows of " + words[1]);
  }
  std::optional<Share> share;
  if (!free) share.emplace(Share::take(rank));

  const std::size_t cells = static_cast<std::size_t>(clusters) * rows.columns;
  std::vector<double> centers(cells);
  if (rank == 0) {
    const Rows first = read_rows(words[1], 0, 1);
    std::copy_n(first.values.begin(), cells, centers.begin());
  }
  MPI_Bcast(centers.data(), static_cast<int>(cells), MPI_DOUBLE, 0, MPI_COMM_WORLD);

  const double begin = MPI_Wtime();
  const Clustering made = lloyd(rows, std::move(centers), iterations);
  if (!std::isfinite(made.inertia)) {
    throw std::runtime_error(std::string(words[1]) +
                             " has values that are no numbers, or too large");
  }
  if (rank == 0) {
    std::printf("%d ranks, %d iterations, inertia %.10g, %.3f s\n", ranks, made.iterations,
                made.inertia, MPI_Wtime() - begin);
  }
  return 0;
}

}  // namespace

int main(int count, char** words) {
  int provided = 0, rank = 0, ranks = 1;
  MPI_Init_thread(&count, &words, MPI_THREAD_FUNNELED, &provided);
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &ranks);
  int code = 1;
  try {
    code = run(count, words, rank, ranks);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "kmeans: rank %d: %s\n", rank, error.what());
    MPI_Abort(MPI_COMM_WORLD, 1);
  }
  MPI_Finalize();
  return code;
}
