// corewise_real_idle_pools LIBRARY...: real OpenBLAS copies in one process.
//
// All copies must get short spins. Products, factorizations, many callers and children of a fork
// give the same bits as before. Idle threads burn next to nothing. Removing gives everything back.
#include <dlfcn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "govern/spinning/idle_pools.h"
#include "pools/discover.h"

namespace idle = corewise::govern::idle_pools;

namespace {

int failures = 0;

void check(bool holds, const char* what) {
  if (holds) return;
  std::printf("FAILED: %s\n", what);
  ++failures;
}

double cpu_milliseconds() {
  timespec now{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) * 1e3 + static_cast<double>(now.tv_nsec) * 1e-6;
}

// How long the idle threads of each pool spin; 0: that is not known.
std::vector<std::uint64_t> spin_counts() {
  std::vector<std::uint64_t> all;
  for (std::size_t id = 0; id < corewise::pool_count(); ++id) {
    const auto word = idle::word_of(corewise::pool_at(id));
    all.push_back(word ? word->load() : 0);
  }
  return all;
}

using Matrix = std::vector<double>;
constexpr std::int64_t kOrder = 400;

Matrix some_matrix() {
  std::mt19937 random(1);
  std::uniform_real_distribution<double> some(-1, 1);
  Matrix matrix(kOrder * kOrder);
  for (double& x : matrix) x = some(random);
  return matrix;
}

struct Blas {
  void* gemm = nullptr;
  void* getrf = nullptr;
  void (*set_threads)(int) = nullptr;

  explicit Blas(const char* path) {
    void* const library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (library == nullptr) return;
    for (const std::string before : {"", "scipy_"}) {
      for (const std::string after : {"", "64_"}) {
        const auto find = [&](const std::string& name) {
          return dlsym(library, (before + name + after).c_str());
        };
        if (gemm != nullptr || find("openblas_set_num_threads") == nullptr) continue;
        gemm = find("dgemm_");
        getrf = find("dgetrf_");
        set_threads = reinterpret_cast<void (*)(int)>(find("openblas_set_num_threads"));
      }
    }
  }

  // Passes integers by address: 64 bits serve builds of either width on little-endian machines.
  Matrix product(const Matrix& a) const {
    const std::int64_t n = kOrder;
    const double one = 1;
    const double zero = 0;
    Matrix c(a.size());
    reinterpret_cast<void (*)(const char*, const char*, const std::int64_t*, const std::int64_t*,
                              const std::int64_t*, const double*, const double*,
                              const std::int64_t*, const double*, const std::int64_t*,
                              const double*, double*, const std::int64_t*)>(gemm)(
        "N", "N", &n, &n, &n, &one, a.data(), &n, a.data(), &n, &zero, c.data(), &n);
    return c;
  }
  Matrix factors(Matrix a) const {
    const std::int64_t n = kOrder;
    std::vector<std::int64_t> pivots(kOrder);
    std::int64_t info = 0;
    reinterpret_cast<void (*)(const std::int64_t*, const std::int64_t*, double*,
                              const std::int64_t*, std::int64_t*, std::int64_t*)>(getrf)(
        &n, &n, a.data(), &n, pivots.data(), &info);
    return a;
  }
};

struct Answers {
  std::vector<Matrix> matrices;
  friend bool operator==(const Answers&, const Answers&) = default;
};

Answers ask(const std::vector<Blas>& copies, const Matrix& a) {
  Answers answers;
  for (const Blas& copy : copies) {
    answers.matrices.push_back(copy.product(a));
    answers.matrices.push_back(copy.factors(a));
  }
  return answers;
}

// What all threads burn in a tenth of a second after work.
double idle_burn(const std::vector<Blas>& copies, const Matrix& a) {
  ask(copies, a);
  const double before = cpu_milliseconds();
  usleep(100'000);
  return cpu_milliseconds() - before;
}

bool child_agrees(const std::vector<Blas>& copies, const Matrix& a, const Answers& right) {
  const pid_t child = fork();
  if (child == 0) _exit(ask(copies, a) == right ? 0 : 1);
  int status = 1;
  waitpid(child, &status, 0);
  return status == 0;
}

void many_callers(const std::vector<Blas>& copies, const Matrix& a, const Answers& right) {
  std::vector<std::thread> callers;
  std::vector<char> agree(12, 0);
  for (char& one : agree) {
    callers.emplace_back([&] { one = ask(copies, a) == right ? 1 : 0; });
  }
  for (std::thread& caller : callers) caller.join();
  for (const char one : agree) check(one == 1, "twelve callers get the same bits");
}

}  // namespace

int main(int count, char** arguments) {
  if (count < 2) return 2;
  std::vector<Blas> copies;
  for (int i = 1; i < count; ++i) {
    copies.emplace_back(arguments[i]);
    if (copies.back().gemm == nullptr) return 77;
    copies.back().set_threads(2);
  }
  const Matrix a = some_matrix();
  const Answers right = ask(copies, a);
  const double burnt = idle_burn(copies, a);

  corewise::discover();
  const std::vector<std::uint64_t> before = spin_counts();
  for (const std::string& why : idle::install()) std::printf("left: %s\n", why.c_str());
  const std::vector<std::uint64_t> installed = spin_counts();
  std::size_t shortened = 0;
  for (std::size_t i = 0; i < before.size(); ++i) shortened += installed[i] < before[i] ? 1 : 0;
  check(shortened >= copies.size(), "every copy spins shortly");
  idle::install();
  check(spin_counts() == installed, "installing again changes nothing");

  check(ask(copies, a) == right, "the same bits");
  many_callers(copies, a, right);
  check(child_agrees(copies, a, right), "a child gets the same bits");
  check(ask(copies, a) == right, "so does the parent, after");
  const double burns = idle_burn(copies, a);
  std::printf("burnt while idle for 100 ms: %.1f ms before, %.1f ms installed\n", burnt, burns);
  check(burns < 10, "idle threads sleep");

  check(idle::remove().empty() && spin_counts() == before, "all given back");
  check(ask(copies, a) == right, "the same bits after that");
  return failures == 0 ? 0 : 1;
}
