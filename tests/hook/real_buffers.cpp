// One real OpenBLAS with our buffers: corewise_real_buffers LIBRARY WHAT [THREADS]
//
//   callers   THREADS threads multiply at once; every product is the serial one, bit for bit
//   original  the same without them (it crashes when THREADS exceed the library's table)
//   cycles    1,000 times installed and removed under load; of a sequential build, which computes
//             nonsense for several threads where it has none of ours, under that of one
//   fork      children of a loaded process work, and give back what the parent's threads had
//   speed     small products, and bare takes, with and without
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <barrier>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <thread>

#include "blas.h"
#include "govern/openblas_buffers/buffers.h"
#include "govern/openblas_buffers/openblas_buffers.h"

namespace openblas_buffers = corewise::govern::openblas_buffers;
namespace buffers = corewise::govern::buffers;

namespace {

double seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// Of all threads together: tells what calls cost, whatever else the machine does.
double cpu_seconds() {
  timespec now{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

bool serve() {
  bool any = false;
  for (const openblas_buffers::CopyReport& copy : openblas_buffers::install()) {
    if (copy.served) {
      std::printf("served: %s\n", copy.path.c_str());
      any = true;
    } else {
      std::printf("not served: %s\n", copy.reason.c_str());
    }
  }
  return any;
}

bool gave_back() {
  bool all = true;
  for (const openblas_buffers::CopyReport& copy : openblas_buffers::remove()) {
    if (copy.reason.empty()) continue;
    std::printf("kept: %s\n", copy.reason.c_str());
    all = false;
  }
  return all;
}

int callers(const Blas& blas, int count) {
  const Product product(600);
  const std::vector<double> serial = product.with(blas);
  std::atomic<int> wrong = 0;
  std::atomic<int> inside = 0;
  std::atomic<int> most = 0;
  std::barrier start(count + 1);
  std::vector<std::thread> threads;
  for (int i = 0; i < count; ++i) {
    threads.emplace_back([&] {
      std::vector<double> c(product.a.size());
      start.arrive_and_wait();
      for (int k = 0; k < 2; ++k) {
        const int now = ++inside;
        for (int seen = most; now > seen && !most.compare_exchange_weak(seen, now);) {
        }
        blas.multiply(product.n, product.a.data(), product.b.data(), c.data());
        --inside;
        if (!same(c, serial)) ++wrong;
      }
    });
  }
  const double begin = seconds();
  const double cpu = cpu_seconds();
  start.arrive_and_wait();
  for (auto& thread : threads) thread.join();
  const double took = seconds() - begin;
  const double used = cpu_seconds() - cpu;
  const auto now = buffers::usage(nullptr);
  std::printf(
      "%d callers, %d at once: %.2f s, CPU %.2f s, %d wrong, %zu buffers, %zu taken, %zu listed\n",
      count, most.load(), took, used, wrong.load(), now.buffers, now.taken, now.listed);
  return wrong == 0 ? 0 : 1;
}

bool is_sequential(const Blas& blas) {
  const auto parallel = reinterpret_cast<int (*)()>(dlsym(blas.handle, "openblas_get_parallel"));
  return parallel != nullptr && parallel() == 0;
}

int cycles(const Blas& blas, int most) {
  const int count = is_sequential(blas) ? 1 : most;
  const Product product(48);
  const std::vector<double> serial = product.with(blas);
  std::atomic<bool> stop = false;
  std::atomic<long> wrong = 0;
  std::atomic<long> calls = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < count; ++i) {
    threads.emplace_back([&] {
      while (!stop) {
        if (!same(product.with(blas), serial)) ++wrong;
        ++calls;
      }
    });
  }
  const double begin = seconds();
  int kept = 0;
  for (int i = 0; i < 1000; ++i) {
    for (const openblas_buffers::CopyReport& copy : openblas_buffers::install()) {
      if (!copy.served) return std::printf("not served: %s\n", copy.reason.c_str()), 1;
    }
    for (const openblas_buffers::CopyReport& copy : openblas_buffers::remove())
      kept += copy.reason.empty() ? 0 : 1;
  }
  const double took = seconds() - begin;
  stop = true;
  for (auto& thread : threads) thread.join();
  const bool all = gave_back();
  std::printf("1000 cycles in %.2f s, %ld calls, %ld wrong, %d removals had to wait, %zu taken\n",
              took, calls.load(), wrong.load(), kept, buffers::usage(nullptr).taken);
  return wrong == 0 && all && calls > 1000 ? 0 : 1;
}

int forks(const Blas& blas, int count) {
  if (!serve()) return 1;
  const Product product(200);
  const std::vector<double> serial = product.with(blas);
  std::atomic<bool> stop = false;
  std::vector<std::thread> threads;
  for (int i = 0; i < count; ++i) {
    threads.emplace_back([&] {
      while (!stop) product.with(blas);
    });
  }
  int bad = 0;
  for (int i = 0; i < 30; ++i) {
    const pid_t child = fork();
    if (child == 0) {
      // An OpenBLAS of the parent's threads may be locked for good: only what is ours is asked.
      const auto now = buffers::usage(nullptr);
      bool fine = now.taken <= 4;
      buffers::Inside inside;
      buffers::Shelf* shelf = buffers::shelf_for(std::size_t{64} << 20U);
      for (int k = 0; k < 20 && fine; ++k) {
        buffers::Buffer* buffer = inside.take(*shelf, shelf);
        fine = buffer != nullptr && inside.find(buffer->address) == buffer;
        if (fine) inside.give(*buffer);
      }
      _exit(fine ? 0 : 1);
    }
    int status = 0;
    waitpid(child, &status, 0);
    if (status != 0) ++bad;
  }
  stop = true;
  for (auto& thread : threads) thread.join();
  const bool still = same(product.with(blas), serial);
  // With OpenBLAS's own workers stopped by its fork handler, a child can compute.
  const pid_t child = fork();
  if (child == 0) _exit(same(product.with(blas), serial) ? 0 : 1);
  int status = 0;
  waitpid(child, &status, 0);
  std::printf("30 forks, %d bad; parent %s, child %s\n", bad, still ? "fine" : "wrong",
              status == 0 ? "fine" : "wrong");
  return bad == 0 && still && status == 0 ? 0 : 1;
}

// CPU nanoseconds of one call of `body` in each of `threads`.
template <class Body>
double per_call(int threads, int calls, Body body) {
  const double begin = cpu_seconds();
  std::vector<std::thread> all;
  for (int i = 0; i < threads; ++i) {
    all.emplace_back([&] {
      for (int k = 0; k < calls; ++k) body();
    });
  }
  for (auto& thread : all) thread.join();
  return (cpu_seconds() - begin) / calls / threads * 1e9;
}

int speed(const Blas& blas) {
  const auto take = reinterpret_cast<void* (*)(int)>(dlsym(blas.handle, "blas_memory_alloc"));
  const auto give = reinterpret_cast<void (*)(void*)>(dlsym(blas.handle, "blas_memory_free"));
  const auto bare = [&](int threads, int calls) {
    return take == nullptr ? 0.0 : per_call(threads, calls, [&] { give(take(1)); });
  };
  const auto products = [&](const Product& product, int threads, int calls) {
    return per_call(threads, calls, [&] {
      thread_local std::vector<double> c(500 * 500);
      blas.multiply(product.n, product.a.data(), product.b.data(), c.data());
    });
  };
  const Product small(64);
  const Product large(500);
  for (int round = 0; round < 6; ++round) {
    if (round == 3 && !serve()) return 1;
    std::printf(
        "%s: take+give %.0f ns, in 2 threads %.0f, in 64 %.0f; product of 64: %.2f us, in 2 "
        "threads "
        "%.2f, in 64 %.2f; of 500: %.2f ms\n",
        round < 3 ? "original" : "buffers ", bare(1, 2000000), bare(2, 1000000), bare(64, 30000),
        products(small, 1, 40000) / 1e3, products(small, 2, 40000) / 1e3,
        products(small, 64, 1000) / 1e3, products(large, 1, 100) / 1e6);
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  std::setvbuf(stdout, nullptr, _IOLBF, 0);
  if (argc < 3) return 2;
  const Blas blas(argv[1]);
  if (blas.gemm == nullptr) {
    std::printf("cannot load %s\n", argv[1]);
    return 77;
  }
  const std::string what = argv[2];
  const int count = argc > 3 ? std::atoi(argv[3]) : 8;
  if (what == "callers") {
    if (!serve()) return 1;
    const int failed = callers(blas, count);
    // The pool's workers, if it has any, hold buffers until the process ends.
    gave_back();
    return failed != 0 || !same(Product(100).with(blas), Product(100).with(blas)) ? 1 : 0;
  }
  if (what == "original") return callers(blas, count);
  if (what == "cycles") return cycles(blas, count);
  if (what == "fork") return forks(blas, count);
  if (what == "speed") return speed(blas);
  return 2;
}
