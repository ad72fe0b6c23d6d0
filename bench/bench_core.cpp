// What the core costs. COREWISE_BENCH_LIBRARIES names libraries to load first, separated by colons:
// give it NumPy's and SciPy's OpenBLAS and a libgomp for the figures that the README quotes. Prints
// each figure with its floor: what the libraries themselves take for the same reads and sets.
#include <benchmark/benchmark.h>
#include <dlfcn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <corewise.hpp>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "os/os.h"
#include "pools/discover.h"

namespace {

using Clock = std::chrono::steady_clock;

void generation(benchmark::State& state) {
  for (auto _ : state) benchmark::DoNotOptimize(corewise::os::generation());
}
BENCHMARK(generation)->Name("the loader's counters alone");

void refresh(benchmark::State& state) {
  for (auto _ : state) cw_refresh(nullptr);
}
BENCHMARK(refresh)->Name("discovery of an unchanged process");

void pools(benchmark::State& state) {
  for (auto _ : state) benchmark::DoNotOptimize(corewise::pools());
}
BENCHMARK(pools);

void gets_alone(benchmark::State& state) {
  for (auto _ : state) {
    for (std::size_t id = 0; id < corewise::pool_count(); ++id) {
      const corewise::Pool& pool = corewise::pool_at(id);
      benchmark::DoNotOptimize(pool.runtime->get(pool));
    }
  }
}
BENCHMARK(gets_alone)->Name("the libraries' getters alone");

void scope(benchmark::State& state) {
  for (auto _ : state) {
    const corewise::limits guard({.all = 1});
    benchmark::DoNotOptimize(&guard);
  }
}
BENCHMARK(scope)->Name("scoped limit of every pool");

void scope_without_change(benchmark::State& state) {
  const corewise::limits outer({.all = 1});
  for (auto _ : state) {
    const corewise::limits guard({.all = 1});
    benchmark::DoNotOptimize(&guard);
  }
}
BENCHMARK(scope_without_change)->Name("scoped limit inside one that is as tight");

void sets_alone(benchmark::State& state) {
  for (auto _ : state) {
    for (std::size_t id = 0; id < corewise::pool_count(); ++id) {
      corewise::Pool& pool = corewise::pool_at(id);
      const auto before = pool.runtime->get(pool);
      if (!before || pool.runtime->release) continue;
      pool.runtime->set(pool, 1);
      pool.runtime->set(pool, *before);
    }
  }
}
BENCHMARK(sets_alone)->Name("the libraries' setters alone");

// A process can look for the first time only once, so a child that knows nothing yet does it.
void first_look() {
  int answer[2];
  if (pipe(answer) != 0) return;
  if (fork() == 0) {
    const auto begin = Clock::now();
    corewise::discover();
    const double microseconds =
        std::chrono::duration<double, std::micro>(Clock::now() - begin).count();
    corewise::os::Generation at;
    const std::string line = "first discovery: " + std::to_string(microseconds) + " us, " +
                             std::to_string(corewise::os::loaded_modules(at).size()) +
                             " modules, " + std::to_string(corewise::pool_count()) + " pools\n";
    _exit(write(answer[1], line.data(), line.size()) < 0);
  }
  char line[256] = {};
  if (read(answer[0], line, sizeof line - 1) > 0) std::fputs(line, stdout);
  wait(nullptr);
}

}  // namespace

int main(int argc, char** argv) {
  const char* libraries = std::getenv("COREWISE_BENCH_LIBRARIES");
  std::string rest = libraries != nullptr ? libraries : "";
  while (!rest.empty()) {
    const std::string path = rest.substr(0, rest.find(':'));
    rest.erase(0, path.size() + 1);
    if (dlopen(path.c_str(), RTLD_NOW) == nullptr) std::fprintf(stderr, "%s\n", dlerror());
  }
  first_look();
  cw_refresh(nullptr);
  benchmark::Initialize(&argc, argv);
  benchmark::RunSpecifiedBenchmarks();
}
