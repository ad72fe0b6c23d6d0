// Random trees of limits against a reference model of a few lines: after every step each pool has
// the tightest open limit that reaches it, and at the end what it had at the beginning.
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <random>
#include <set>
#include <thread>

#include "support.h"

using namespace stubs;

namespace {

constexpr int kThreads = 3;
constexpr int kSteps = 400;

struct Open {
  std::unique_ptr<corewise::limits> limits;
  int thread;
  int blas;  // 0: says nothing about it
  int openmp;
};

// The process's count of one pool, or one thread's: what it is when no limit is open, and those
// that are.
struct Model {
  int base;
  std::multiset<int> open;
  int now() const { return open.empty() ? base : *open.begin(); }
};

// Threads that do one thing at a time, in an order that the test decides.
class Workers {
 public:
  Workers() {
    for (int i = 0; i < kThreads; ++i) threads_.emplace_back([this, i] { run(i); });
  }
  ~Workers() {
    for (int i = 0; i < kThreads; ++i) on(i, nullptr);
    for (std::thread& thread : threads_) thread.join();
  }
  void on(int thread, const std::function<void()>& what) {
    std::unique_lock guard(lock_);
    turn_ = thread;
    what_ = &what;
    changed_.notify_all();
    changed_.wait(guard, [&] { return turn_ == -1; });
  }

 private:
  void run(int self) {
    for (bool more = true; more;) {
      std::unique_lock guard(lock_);
      changed_.wait(guard, [&] { return turn_ == self; });
      more = static_cast<bool>(*what_);
      if (more) (*what_)();
      turn_ = -1;
      changed_.notify_all();
    }
  }

  std::mutex lock_;
  std::condition_variable changed_;
  int turn_ = -1;
  const std::function<void()>* what_ = nullptr;
  std::vector<std::thread> threads_;
};

void run_tree(unsigned seed) {
  INFO("seed " << seed);
  const Library blas = load("libopenblas");
  const Library openmp(kFolder / "libgomp-stub.so");
  auto* blas_now = blas.symbol<int()>("stub_count");
  auto* openmp_now = openmp.symbol<int()>("omp_get_max_threads");
  std::mt19937 random(seed);
  const auto pick = [&](int below) {
    return static_cast<int>(random() % static_cast<unsigned>(below));
  };

  Model process{blas_now(), {}};
  Model thread_of[kThreads] = {{6, {}}, {6, {}}, {6, {}}};
  std::vector<Open> open;
  Workers workers;
  const auto check = [&](int thread) {
    workers.on(thread, [&] {
      cw_refresh(nullptr);
      REQUIRE(openmp_now() == thread_of[thread].now());
    });
    REQUIRE(blas_now() == process.now());
  };
  const auto forget = [&](const Open& one, bool abandoned) {
    if (one.blas != 0) {
      process.open.erase(process.open.find(one.blas));
      if (abandoned) process.base = one.blas;
    }
    if (one.openmp != 0) {
      Model& model = thread_of[one.thread];
      model.open.erase(model.open.find(one.openmp));
      if (abandoned) model.base = one.openmp;
    }
  };

  for (int step = 0; step < kSteps; ++step) {
    const int thread = pick(kThreads);
    const int what = pick(100);
    if (what < 50 || open.empty()) {
      Open one{nullptr, thread, pick(2) * (1 + pick(12)), pick(2) * (1 + pick(12))};
      workers.on(thread, [&] {
        one.limits = std::make_unique<corewise::limits>(
            corewise::counts{.openmp = one.openmp, .blas = one.blas});
        REQUIRE(*one.limits);
      });
      if (one.blas != 0) process.open.insert(one.blas);
      if (one.openmp != 0) thread_of[thread].open.insert(one.openmp);
      open.push_back(std::move(one));
    } else {
      const std::size_t which = static_cast<std::size_t>(pick(static_cast<int>(open.size())));
      Open one = std::move(open[which]);
      open.erase(open.begin() + static_cast<std::ptrdiff_t>(which));
      const bool abandon = what >= 95;
      workers.on(thread, [&] { abandon ? one.limits->keep() : (void)one.limits->close(); });
      forget(one, abandon);
    }
    check(pick(kThreads));
  }
  while (!open.empty()) {
    const std::size_t which = static_cast<std::size_t>(pick(static_cast<int>(open.size())));
    workers.on(pick(kThreads), [&] { open[which].limits->close(); });
    forget(open[which], false);
    open.erase(open.begin() + static_cast<std::ptrdiff_t>(which));
  }
  for (int thread = 0; thread < kThreads; ++thread) check(thread);
  REQUIRE(process.open.empty());
  blas.symbol<void(int)>("openblas_set_num_threads")(8);
}

}  // namespace

TEST_CASE("random trees of limits across threads end where they began") {
  for (unsigned seed = 1; seed <= 40; ++seed) run_tree(seed);
}
