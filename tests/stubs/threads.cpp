// Everything at once: limits, discovery, loading and unloading, constructors that look, and forks.
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <thread>

#include "support.h"

using namespace stubs;

namespace {

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
constexpr bool kSanitizer = true;
#else
constexpr bool kSanitizer = false;
#endif

class Crowd {
 public:
  template <class Body>
  void add(Body body) {
    threads_.emplace_back([this, body] {
      while (!stop_.load()) body();
    });
  }
  ~Crowd() {
    stop_.store(true);
    for (std::thread& thread : threads_) thread.join();
  }

 private:
  std::atomic<bool> stop_{false};
  std::vector<std::thread> threads_;
};

void open_and_close() {
  const corewise::limits guard({.openmp = 2, .blas = 3});
  if (guard) (void)corewise::pools();
}

void load_and_unload() {
  const Library plain = load("libplain");
  plain.close();
}

// The child's exit status; -1 if it hung or was killed.
int status_of(pid_t child) {
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

}  // namespace

TEST_CASE("modules come and go while others look and limit") {
  const Library blas = load("libopenblas");
  const Library openmp(kFolder / "libgomp-stub.so");
  {
    Crowd crowd;
    crowd.add(load_and_unload);
    crowd.add(open_and_close);
    crowd.add([] { (void)corewise::pools(); });
    for (int i = 0; i < 200; ++i) {
      load_and_unload();
      cw_refresh(nullptr);
      REQUIRE(cw_symbol((kFolder / "libopenblas.so").c_str(), "stub_count") != nullptr);
    }
  }
  CHECK(corewise::pools().size() == 2);
  CHECK(blas.symbol<int()>("stub_count")() == 8);
}

TEST_CASE("each runtime is listed once however many threads find it") {
  const Scratch scratch;
  for (int round = 0; round < 30; ++round) {
    Crowd crowd;
    for (int i = 0; i < 3; ++i) crowd.add([] { cw_refresh(nullptr); });
    crowd.add(load_and_unload);
    load_copy("libopenblas", scratch.path / (std::to_string(round) + ".so"));
    for (int i = 0; i < 20; ++i) load_and_unload();
    cw_refresh(nullptr);
    REQUIRE(cw_pool_count() == static_cast<std::size_t>(round) + 1);
  }
}

TEST_CASE("a library's constructor may call corewise while others use it") {
  load("libopenblas");
  Crowd crowd;
  crowd.add(open_and_close);
  crowd.add([] { cw_refresh(nullptr); });
  for (int i = 0; i < 100; ++i) {
    const Library library = load("libconstructor");
    REQUIRE(library.symbol<std::size_t()>("stub_seen")() >= 2);
    library.close();
  }
}

// Loading is left to the forking thread: glibc holds its lock of the module list while a library is
// added or removed and does not reset it in the child, so that a child forked by another thread in
// that moment cannot list or load modules at all, with corewise or without. Nor do the sanitizers
// of GCC 12 work in a child of several threads: AddressSanitizer's allocator was seen to stay
// locked.
TEST_CASE("a child forked amid everything works and does not hang" * doctest::skip(kSanitizer)) {
  const Library blas = load("libopenblas");
  const Library openmp(kFolder / "libgomp-stub.so");
  cw_refresh(nullptr);
  Crowd crowd;
  crowd.add(open_and_close);
  crowd.add([] { (void)corewise::pools(); });
  for (int i = 0; i < 400; ++i) {
    load_and_unload();  // so that the others are busy looking
    const pid_t child = fork();
    REQUIRE(child >= 0);
    if (child == 0) {
      alarm(20);
      if (cw_pool_count() != 2) _exit(1);
      if (blas.symbol<int()>("stub_count")() != 8) _exit(2);
      {
        const corewise::limits guard({.openmp = 2, .blas = 4});
        if (!guard || blas.symbol<int()>("stub_count")() != 4) _exit(3);
      }
      if (blas.symbol<int()>("stub_count")() != 8) _exit(4);
      _exit(0);
    }
    REQUIRE(status_of(child) == 0);
  }
}

TEST_CASE("in a child limits of threads that did not come along are dropped") {
  const Library blas = load("libopenblas");
  auto* count = blas.symbol<int()>("stub_count");
  const corewise::limits own({.blas = 5});
  std::atomic<int> step{0};
  std::thread other([&] {
    const corewise::limits theirs({.blas = 2});
    step = 1;
    while (step != 2) std::this_thread::yield();
  });
  while (step != 1) std::this_thread::yield();
  CHECK(count() == 2);
  const pid_t child = fork();
  if (child == 0) {
    alarm(20);
    // The first to look need not be the thread that lived on: its limits hold all the same.
#ifdef __SANITIZE_THREAD__
    cw_refresh(nullptr);  // ThreadSanitizer knows no threads started in a child
#else
    std::thread([] { cw_refresh(nullptr); }).join();
#endif
    _exit(count());
  }
  CHECK(status_of(child) == 5);
  CHECK(count() == 2);
  step = 2;
  other.join();
  CHECK(count() == 5);
}
