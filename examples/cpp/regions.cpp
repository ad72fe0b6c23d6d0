// One budget for OpenMP and BLAS: rows in parallel, and inside each a product of Debian's OpenBLAS.
// Prints what was in force outside, inside and after a scope of limits.
#include <cblas.h>
#include <omp.h>

#include <corewise.hpp>
#include <cstdio>
#include <vector>

namespace {

int team_size() {
  int size = 0;
#pragma omp parallel
#pragma omp single
  size = omp_get_num_threads();
  return size;
}

void multiply(int n) {
  const auto cells = static_cast<std::size_t>(n) * static_cast<std::size_t>(n);
  const std::vector<double> a(cells, 1.0), b(cells, 2.0);
  std::vector<double> c(cells);
  cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, n, n, n, 1.0, a.data(), n, b.data(), n,
              0.0, c.data(), n);
  if (c[0] != 2.0 * n) std::puts("wrong product");
}

void show(const char* when) {
  int blas = 0;
  for (const corewise::pool& pool : corewise::pools()) {
    if (pool.api == CW_API_BLAS) blas = pool.threads;
  }
  std::printf("%-8s team of %d, blas %d\n", when, team_size(), blas);
}

}  // namespace

int main() {
  omp_set_num_threads(4);
  openblas_set_num_threads(3);
  show("before:");
  {
    const corewise::limits guard({.openmp = 2, .blas = 1});
    if (!guard) {
      std::fprintf(stderr, "%s\n", guard.error().message().c_str());
      return 1;
    }
    show("inside:");
#pragma omp parallel for
    for (int row = 0; row < 4; ++row) multiply(64);
  }
  show("after:");
  if (const corewise::limits none({.blas = -1}); !none) {
    std::printf("refused: %s\n", cw_status_name(none.error().status()));
  }
}
