// What limits do to pools that misbehave, come late, or share a count; and their exact undo.
#include <array>
#include <cerrno>
#include <cstring>
#include <thread>

#include "support.h"

using namespace stubs;

namespace {

cw_status open_all(int threads, cw_limits** out, std::uint32_t flags = 0) {
  const cw_rule rule{CW_MATCH_ALL, nullptr, 0, threads};
  const cw_limits_options options{sizeof options, flags, 0};
  return cw_limits_open(&rule, 1, &options, out);
}

int count_on_new_thread(int (*get)()) {
  int count = 0;
  std::thread([&] { count = get(); }).join();
  return count;
}

}  // namespace

TEST_CASE("a getter that fails: refused, nothing changed, nothing leaked") {
  const Library good = load("libopenblas");
  const Library mute = load("libopenblas-mute");
  cw_limits* limits = nullptr;
  CHECK(open_all(2, &limits) == CW_LIBRARY_LIED);
  CHECK(limits == nullptr);
  CHECK(std::string(cw_last_error()).find("libopenblas-mute") != std::string::npos);
  CHECK(good.symbol<int()>("stub_sets")() == 0);
  CHECK(mute.symbol<int()>("stub_sets")() == 0);

  const cw_rule rule{CW_MATCH_ID, nullptr, 0, 2};
  const corewise::limits guard({&rule, 1});
  CHECK(guard);
  CHECK(good.symbol<int()>("stub_count")() == 2);
}

TEST_CASE("a setter that ignores, and one that clamps, are found out") {
  load("libopenblas-deaf");
  load("libopenblas-narrow");
  const corewise::limits guard({.blas = 6});
  const auto outcomes = guard.outcomes();
  REQUIRE(outcomes.size() == 2);
  CHECK(outcomes[0].effective == 8);
  CHECK(outcomes[0].reason == "the library kept another count");
  CHECK(outcomes[1].effective == 4);
  CHECK(outcomes[1].before == 8);
  CHECK(outcomes[1].reason == "the library kept another count");
}

TEST_CASE("counts out of range never reach the library") {
  const Library library = load("libopenblas");
  cw_limits* limits = nullptr;
  for (const int bad : {0, -1, -2147483647 - 1, 32769, 2147483647}) {
    CHECK(open_all(bad, &limits) == CW_BAD_COUNT);
    CHECK(std::string(cw_last_error()).find(std::to_string(bad)) != std::string::npos);
  }
  CHECK(open_all(65, &limits) == CW_ABOVE_CEILING);
  CHECK(limits == nullptr);
  CHECK(library.symbol<int()>("stub_sets")() == 0);

  REQUIRE(open_all(65, &limits, CW_LIMITS_CLAMP) == CW_OK);
  CHECK(library.symbol<int()>("stub_count")() == 64);
  cw_outcome outcome{};
  outcome.size = sizeof outcome;
  REQUIRE(cw_limits_outcomes(limits, &outcome, 1) == 1);
  CHECK(std::string(outcome.reason) == "lowered to the most it was built for");
  cw_limits_close(limits, nullptr);
  cw_limits_free(limits);
  CHECK(library.symbol<int()>("stub_count")() == 8);
}

TEST_CASE("arguments without meaning") {
  load("libopenblas");
  cw_limits* limits = nullptr;
  const auto refused = [&](cw_status status, const cw_rule& rule) {
    INFO(rule.name);
    CHECK(cw_limits_open(&rule, 1, nullptr, &limits) == status);
    CHECK(limits == nullptr);
    CHECK(std::string(cw_last_error()) != "");
  };
  refused(CW_UNKNOWN_NAME, {CW_MATCH_API, "openblas", 0, 1});
  refused(CW_UNKNOWN_NAME, {CW_MATCH_RUNTIME, "blas", 0, 1});
  refused(CW_UNKNOWN_NAME, {CW_MATCH_PREFIX, "libnothing", 0, 1});
  refused(CW_UNKNOWN_NAME, {CW_MATCH_PATH, "/no/such/file", 0, 1});
  refused(CW_UNKNOWN_NAME, {CW_MATCH_PATH, "", 0, 1});
  refused(CW_UNKNOWN_NAME, {CW_MATCH_NAME, "", 0, 1});
  refused(CW_UNKNOWN_NAME, {CW_MATCH_NAME, "nonsense", 0, 1});
  refused(CW_UNKNOWN_NAME, {CW_MATCH_ID, nullptr, 1, 1});
  refused(CW_BAD_ARGUMENT, {CW_MATCH_API, nullptr, 0, 1});

  cw_rule odd{CW_MATCH_ALL, nullptr, 0, 1};
  const unsigned beyond = 77;
  std::memcpy(&odd.match, &beyond, sizeof odd.match);
  CHECK(cw_limits_open(&odd, 1, nullptr, &limits) == CW_BAD_ARGUMENT);
  CHECK(cw_limits_open(nullptr, 1, nullptr, &limits) == CW_BAD_ARGUMENT);
  CHECK(cw_limits_open(&odd, 0, nullptr, nullptr) == CW_BAD_ARGUMENT);
  CHECK(cw_limits_close(nullptr, nullptr) == CW_BAD_ARGUMENT);
  CHECK(open_all(1, &limits, 1u << 7) == CW_BAD_ARGUMENT);
  const cw_limits_options small{8, 0, 0};
  CHECK(cw_limits_open(&odd, 0, &small, &limits) == CW_BAD_ARGUMENT);

  cw_pool pool;
  for (const std::size_t size : {std::size_t{0}, std::size_t{9}, std::size_t{95}, SIZE_MAX}) {
    pool.size = size;
    CHECK(cw_pool_get(0, &pool) == CW_BAD_ARGUMENT);
  }
  CHECK(cw_pool_get(0, nullptr) == CW_BAD_ARGUMENT);
  pool.size = sizeof pool;
  CHECK(cw_pool_get(1, &pool) == CW_UNKNOWN_NAME);
  cw_limits_free(nullptr);
}

TEST_CASE("a caller that knows more fields gets zeros in them, and errno is the caller's") {
  load("libopenblas");
  struct Newer {
    cw_pool pool;
    std::array<unsigned char, 16> added;
  } newer{};
  newer.added.fill(0xee);
  newer.pool.size = sizeof newer;
  REQUIRE(cw_pool_count() == 1);
  errno = 77;
  REQUIRE(cw_pool_get(0, &newer.pool) == CW_OK);
  cw_refresh(nullptr);
  CHECK(errno == 77);
  CHECK(newer.pool.threads == 8);
  for (const unsigned char byte : newer.added) CHECK(byte == 0);
}

TEST_CASE("a library loaded while a limit is open is limited on arrival and released with it") {
  corewise::limits guard({.blas = 2});
  REQUIRE(guard);
  const Library late = load("libopenblas");
  cw_refresh(nullptr);
  CHECK(late.symbol<int()>("stub_count")() == 2);
  REQUIRE(guard.outcomes().size() == 1);
  CHECK(guard.outcomes()[0].before == 8);
  CHECK(guard.outcomes()[0].effective == 2);
  guard.close();
  CHECK(late.symbol<int()>("stub_count")() == 8);
}

TEST_CASE("a limit that is not sticky leaves later pools alone") {
  cw_limits* limits = nullptr;
  REQUIRE(open_all(2, &limits, CW_LIMITS_NOT_STICKY) == CW_OK);
  const Library late = load("libopenblas");
  cw_refresh(nullptr);
  CHECK(late.symbol<int()>("stub_count")() == 8);
  cw_limits_free(limits);
  const Library later = load("libopenblas64_");
  cw_refresh(nullptr);
  CHECK(later.symbol<int()>("stub_count")() == 8);
}

TEST_CASE("what another thread finds late still reaches this thread's own limit") {
  corewise::limits guard({.openmp = 2});
  const Library late(kFolder / "libgomp-stub.so");
  auto* get = late.symbol<int()>("omp_get_max_threads");
  std::thread([] { cw_refresh(nullptr); }).join();
  // Opening is a call like any other: the older limit must not be passed over.
  const corewise::limits other({.blas = 1});
  CHECK(get() == 2);
  CHECK(count_on_new_thread(get) == 6);
  REQUIRE(guard.outcomes().size() == 1);
  CHECK(guard.outcomes()[0].before == 6);
  CHECK(guard.outcomes()[0].effective == 2);
  guard.close();
  CHECK(get() == 6);
}

TEST_CASE("until its thread has looked, a late pool's outcome says that it waits") {
  const corewise::limits guard({.openmp = 2});
  const Library late(kFolder / "libgomp-stub.so");
  std::thread([&] {
    cw_refresh(nullptr);
    REQUIRE(guard.outcomes().size() == 1);
    CHECK(guard.outcomes()[0].effective == 0);
    CHECK(guard.outcomes()[0].reason == "waits for the thread that opened the limit");
  }).join();
}

TEST_CASE("OpenBLAS over OpenMP shares its runtime's count") {
  const Library blas(kFolder / "libopenblas-openmp.so");
  auto* get = blas.symbol<int()>("openblas_get_num_threads");
  REQUIRE(corewise::pools().size() == 2);
  CHECK(only("openblas").layer == "openmp");
  CHECK(only("openblas").scope == CW_SCOPE_THREAD);

  SUBCASE("and is undone exactly in any order") {
    for (const bool openmp_first : {true, false}) {
      corewise::limits a({.openmp = 4});
      corewise::limits b({.blas = 3});
      CHECK(get() == 3);
      CHECK(count_on_new_thread(get) == 6);
      (openmp_first ? a : b).close();
      CHECK(get() == (openmp_first ? 3 : 4));
      (openmp_first ? b : a).close();
      CHECK(get() == 6);
    }
  }
  SUBCASE("so that of one limit's two counts the tighter holds, and is explained") {
    const corewise::limits both({.openmp = 5, .blas = 2});
    CHECK(get() == 2);
    for (const auto& outcome : both.outcomes()) {
      CHECK(outcome.effective == 2);
      if (outcome.asked == 5) {
        CHECK(outcome.reason == "shares its count with a pool that this limit gives fewer");
      }
    }
  }
}

TEST_CASE("OpenBLAS over an OpenMP long known is limited when it arrives") {
  const Library openmp(kFolder / "libgomp-stub.so");
  auto* get = openmp.symbol<int()>("omp_get_max_threads");
  corewise::limits guard({.blas = 2});
  CHECK(get() == 6);
  const Library late(kFolder / "libopenblas-openmp.so");
  cw_refresh(nullptr);
  CHECK(get() == 2);
  guard.close();
  CHECK(get() == 6);
}

TEST_CASE("OpenBLAS over OpenMP calls the runtime that came first, not the one it names") {
  // A program that runs on LLVM's OpenMP: its functions are global, and OpenBLAS binds to them.
  const Library llvm(kFolder / "libomp-stub.so", RTLD_NOW | RTLD_GLOBAL);
  const Library blas(kFolder / "libopenblas-openmp.so");
  const corewise::limits guard({.blas = 2});
  CHECK(blas.symbol<int()>("openblas_get_num_threads")() == 2);
  CHECK(llvm.symbol<int()>("omp_get_max_threads")() == 2);
  CHECK(only("libgomp").threads == 6);
}

TEST_CASE("a runtime made global later does not mislead about where OpenBLAS calls") {
  const Library blas(kFolder / "libopenblas-openmp.so");
  auto* get = blas.symbol<int()>("openblas_get_num_threads");
  blas.symbol<void(int)>("openblas_set_num_threads")(6);
  const Library llvm(kFolder / "libomp-stub.so", RTLD_NOW | RTLD_GLOBAL);
  const corewise::limits guard({.blas = 2});
  CHECK(get() == 2);
  CHECK(llvm.symbol<int()>("omp_get_max_threads")() == 6);
}

TEST_CASE("a limit closed by another thread is undone at its own thread's next call") {
  const Library openmp(kFolder / "libgomp-stub.so");
  auto* get = openmp.symbol<int()>("omp_get_max_threads");
  corewise::limits guard({.openmp = 2});
  std::thread([&] { CHECK(guard.close() == 1); }).join();
  CHECK(get() == 2);
  cw_pool pool;
  pool.size = sizeof pool;
  cw_pool_get(0, &pool);
  CHECK(get() == 6);
  CHECK(pool.threads == 6);
}

TEST_CASE("for a thread that ended nothing is pending") {
  const Library openmp(kFolder / "libgomp-stub.so");
  cw_limits* limits = nullptr;
  std::thread([&] { REQUIRE(open_all(2, &limits) == CW_OK); }).join();
  std::size_t pending = 99;
  CHECK(cw_limits_close(limits, &pending) == CW_OK);
  CHECK(pending == 0);
  cw_limits_free(limits);
}

TEST_CASE("a thread's objects may use corewise while the thread ends") {
  const Library blas = load("libopenblas");
  struct Late {
    ~Late() {
      // After corewise's own state of this thread is gone, if that was made later.
      const corewise::limits guard({.all = 3});
      corewise::pools();
    }
  };
  std::thread([] {
    static thread_local Late late;
    (void)late;
    const corewise::limits guard({.all = 2});
  }).join();
  CHECK(blas.symbol<int()>("stub_count")() == 8);
}

TEST_CASE("an abandoned limit is what its pools return to, those still to come as well") {
  const Library early = load("libopenblas");
  corewise::limits left({.blas = 5});
  left.keep();
  CHECK(early.symbol<int()>("stub_count")() == 5);
  {
    const corewise::limits guard({.blas = 7});
    CHECK(early.symbol<int()>("stub_count")() == 7);
  }
  CHECK(early.symbol<int()>("stub_count")() == 5);
  const Library late = load("libopenblas64_");
  cw_refresh(nullptr);
  CHECK(late.symbol<int()>("stub_count")() == 5);
}

TEST_CASE("what was abandoned reaches a runtime that a late library shares, once") {
  const Library openmp(kFolder / "libgomp-stub.so");
  auto* get = openmp.symbol<int()>("omp_get_max_threads");
  corewise::limits left({.blas = 3});
  left.keep();
  const Library late(kFolder / "libopenblas-openmp.so");
  cw_refresh(nullptr);
  CHECK(get() == 3);
  openmp.symbol<void(int)>("omp_set_num_threads")(4);  // the program's own choice, later
  load("libplain");
  load("libopenblas");
  cw_refresh(nullptr);
  CHECK(get() == 4);
}

TEST_CASE("MKL's own count is set even where it equals the global one, and given back") {
  const Library mkl = load("libanalysis");
  auto* get = mkl.symbol<int()>("MKL_Get_Max_Threads");
  auto* set_global = mkl.symbol<void(int)>("MKL_Set_Num_Threads");
  corewise::limits guard({.blas = 8});
  set_global(16);
  CHECK(get() == 8);
  guard.close();
  CHECK(get() == 16);
}

TEST_CASE("an inner scope of one owner may raise what its outer one lowered") {
  const Library blas = load("libopenblas");
  auto* count = blas.symbol<int()>("stub_count");
  cw_limits *outer = nullptr, *inner = nullptr;
  REQUIRE(open_all(2, &outer, CW_LIMITS_REPLACE) == CW_OK);
  REQUIRE(open_all(6, &inner, CW_LIMITS_REPLACE) == CW_OK);
  CHECK(count() == 6);
  {
    const corewise::limits strict({.all = 4});
    CHECK(count() == 4);
  }
  std::thread([&] {
    // Another owner's does not take its place: the tightest of owners wins.
    cw_limits* foreign = nullptr;
    REQUIRE(open_all(7, &foreign, CW_LIMITS_REPLACE) == CW_OK);
    CHECK(count() == 6);
    cw_limits_close(foreign, nullptr);
    cw_limits_free(foreign);
  }).join();
  cw_limits_close(outer, nullptr);
  CHECK(count() == 6);
  cw_limits_close(inner, nullptr);
  CHECK(count() == 8);
  cw_limits_free(outer);
  cw_limits_free(inner);
}
