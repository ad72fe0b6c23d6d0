// One real OpenBLAS, loaded by path, whatever its build calls its functions.
#pragma once

#include <dlfcn.h>

#include <cstdint>
#include <cstring>
#include <random>
#include <string>
#include <vector>

struct Blas {
  void* handle = nullptr;
  void* gemm = nullptr;
  void* potrf = nullptr;
  void (*set_threads)(int) = nullptr;
  bool wide = false;  // integers of 64 bits

  explicit Blas(const char* path) : handle(dlopen(path, RTLD_NOW | RTLD_LOCAL)) {
    if (handle == nullptr) return;
    for (const std::string prefix : {"", "scipy_"}) {
      for (const std::string suffix : {"", "64_"}) {
        if (gemm != nullptr) continue;
        gemm = dlsym(handle, (prefix + "cblas_dgemm" + suffix).c_str());
        potrf = dlsym(handle, (prefix + "dpotrf_" + suffix).c_str());
        set_threads = reinterpret_cast<void (*)(int)>(
            dlsym(handle, (prefix + "openblas_set_num_threads" + suffix).c_str()));
        wide = suffix == "64_";
      }
    }
  }

  template <class Int>
  void multiply_as(Int n, const double* a, const double* b, double* c) const {
    reinterpret_cast<void (*)(int, int, int, Int, Int, Int, double, const double*, Int,
                              const double*, Int, double, double*, Int)>(gemm)(
        101, 111, 111, n, n, n, 1.0, a, n, b, n, 0.0, c, n);
  }
  // c = a b, square, of order n.
  void multiply(int n, const double* a, const double* b, double* c) const {
    wide ? multiply_as<std::int64_t>(n, a, b, c) : multiply_as<int>(n, a, b, c);
  }
};

struct Product {
  int n;
  std::vector<double> a, b;
  explicit Product(int order)
      : n(order), a(static_cast<std::size_t>(n) * static_cast<std::size_t>(n)), b(a.size()) {
    std::mt19937 random(1);
    std::uniform_real_distribution<double> some(-1, 1);
    for (double& x : a) x = some(random);
    for (double& x : b) x = some(random);
  }
  std::vector<double> with(const Blas& blas) const {
    std::vector<double> c(a.size());
    blas.multiply(n, a.data(), b.data(), c.data());
    return c;
  }
};

inline bool same(const std::vector<double>& x, const std::vector<double>& y) {
  return std::memcmp(x.data(), y.data(), x.size() * sizeof(double)) == 0;
}
