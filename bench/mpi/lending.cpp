// A rank of lending.py: OpenMP regions, as many as this rank's part of the work, then a
// barrier in which it sleeps.
#include <mpi.h>
#include <unistd.h>

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <vector>

int main(int argc, char** argv) {
  MPI_Init(&argc, &argv);
  int rank = 0;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  const int regions = std::atoi(argv[1 + rank]);
  std::vector<double> numbers(400000, 0.5);
  const auto region = [&] {
#pragma omp parallel for
    for (std::size_t i = 0; i < numbers.size(); ++i) numbers[i] = std::cos(numbers[i]);
  };
  region();
  MPI_Barrier(MPI_COMM_WORLD);
  const double began = MPI_Wtime();
  for (int i = 0; i < regions; ++i) region();
  MPI_Request request;
  MPI_Ibarrier(MPI_COMM_WORLD, &request);
  for (int ended = 0; ended == 0; usleep(1000)) MPI_Test(&request, &ended, MPI_STATUS_IGNORE);
  if (rank == 0) std::printf("%.4f\n", MPI_Wtime() - began);
  MPI_Finalize();
}
