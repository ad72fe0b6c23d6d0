// Regions of oneTBB, to look at from outside.
#include <tbb/global_control.h>
#include <tbb/parallel_for.h>
#include <tbb/task_arena.h>

#include <atomic>
#include <chrono>
#include <thread>

namespace {

// In all arenas of the process.
std::atomic<int> working{0};

class Crowd {
 public:
  void pass(void (*visit)()) {
    ++working;
    const int now = ++inside_;
    for (int seen = most_; seen < now && !most_.compare_exchange_weak(seen, now);) {
    }
    if (visit != nullptr) visit();
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    --inside_;
    --working;
  }
  int most() const { return most_; }

 private:
  std::atomic<int> inside_{0};
  std::atomic<int> most_{0};
};

}  // namespace

// The most threads that worked at once in an arena of `threads`.
extern "C" int probe_together(int threads, int tasks, void (*visit)()) {
  const tbb::global_control allowed(tbb::global_control::max_allowed_parallelism,
                                    static_cast<std::size_t>(threads));
  Crowd crowd;
  tbb::task_arena arena(threads);
  arena.execute([&] {
    tbb::parallel_for(0, tasks, [&](int) { crowd.pass(visit); }, tbb::simple_partitioner());
  });
  return crowd.most();
}

extern "C" int probe_working() { return working; }

// Whether work that nobody waits for finished within ten seconds.
extern "C" int probe_enqueued() {
  static std::atomic<bool> done{false};
  done = false;
  tbb::task_arena arena(2);
  arena.enqueue([] { done = true; });
  const auto late = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (!done && std::chrono::steady_clock::now() < late) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return done ? 1 : 0;
}
