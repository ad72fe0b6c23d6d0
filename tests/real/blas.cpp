// OpenBLAS, BLIS and MKL as they are. Each case runs in a process of its own (CMakeLists.txt).
#include "support.h"

using namespace real;

TEST_CASE("OpenBLAS over pthreads") {
  void* handle = load(library());
  const corewise::pool pool = only("openblas");
  CHECK(pool.layer == "pthreads");
  CHECK(pool.scope == CW_SCOPE_PROCESS);
  CHECK(pool.version.starts_with("0.3."));
  CHECK(pool.ceiling >= 64);
  CHECK(pool.caller_slots == 2 * pool.ceiling);
  CHECK_FALSE(pool.architecture.empty());
  CHECK(pool.threads == symbol<int()>(handle, "openblas_get_num_threads")());
  CHECK(corewise::pools().size() == 1);
  exercise("openblas");
}

TEST_CASE("OpenBLAS over OpenMP") {
  load(library());
  const corewise::pool pool = only("openblas");
  CHECK(pool.layer == "openmp");
  CHECK(pool.scope == CW_SCOPE_THREAD);
  CHECK(only("libgomp").threads == pool.threads);
  exercise("openblas");
  for (const bool blas_first : {true, false}) {
    corewise::limits openmp({.openmp = 3});
    corewise::limits blas({.blas = 2});
    CHECK(only("libgomp").threads == 2);
    (blas_first ? blas : openmp).close();
    CHECK(only("openblas").threads == (blas_first ? 3 : 2));
    (blas_first ? openmp : blas).close();
    CHECK(only("openblas").threads == pool.threads);
    CHECK(only("libgomp").threads == pool.threads);
  }
}

TEST_CASE("OpenBLAS without threads") {
  load(library());
  const corewise::pool pool = only("openblas");
  CHECK(pool.layer == "disabled");
  CHECK(pool.scope == CW_SCOPE_NONE);
  CHECK(pool.threads == 1);
  const corewise::limits guard({.blas = 4});
  REQUIRE(guard);
  CHECK(guard.outcomes().at(0).reason == "built without threads");
}

TEST_CASE("OpenBLAS of NumPy's wheel") {
  void* handle = load(library());
  const corewise::pool pool = only("openblas");
  CHECK(pool.prefix == "libscipy_openblas");
  CHECK(pool.layer == "pthreads");
  CHECK(pool.ceiling == 64);
  CHECK(pool.caller_slots == 128);
  CHECK(pool.threads == symbol<int()>(handle, "scipy_openblas_get_num_threads64_")());
  exercise("openblas");
}

TEST_CASE("two copies of OpenBLAS") {
  std::string folder = (std::filesystem::temp_directory_path() / "corewise-XXXXXX").string();
  REQUIRE(mkdtemp(folder.data()) != nullptr);
  const std::string copy = folder + "/libopenblas-copy.so";
  std::filesystem::copy_file(library(), copy);
  load(library());
  // The copy's neighbours are loaded already.
  load(copy);
  const auto before = pools_of("openblas");
  REQUIRE(before.size() == 2);
  REQUIRE(before[1].path == copy);
  {
    const cw_rule rule{CW_MATCH_PATH, copy.c_str(), 0, 7};
    const corewise::limits guard({&rule, 1});
    CHECK(pools_of("openblas")[0].threads == before[0].threads);
    CHECK(pools_of("openblas")[1].threads == 7);
  }
  CHECK(pools_of("openblas")[1].threads == before[1].threads);
  std::filesystem::remove_all(folder);
}

TEST_CASE("BLIS over pthreads") {
  void* handle = load(library());
  CHECK(only("blis").layer == "pthreads");
  CHECK(only("blis").scope == CW_SCOPE_PROCESS);
  CHECK(only("blis").version.starts_with("0.9"));
  CHECK(only("blis").architecture.empty());
  check_idle("blis", [&] { symbol<void()>(handle, "bli_init")(); });
  CHECK_FALSE(only("blis").architecture.empty());
  auto* raw = symbol<std::int64_t()>(handle, "bli_thread_get_num_threads");
  const std::int64_t fresh = raw();
  exercise("blis");
  CHECK(raw() == fresh);
}

TEST_CASE("BLIS over OpenMP") {
  void* handle = load(library());
  CHECK(only("blis").layer == "openmp");
  check_idle("blis", [&] { symbol<void()>(handle, "bli_init")(); });
  exercise("blis");
}

TEST_CASE("BLIS with ways set") {
  symbol<void()>(load(library()), "bli_init")();
  CHECK(only("blis").threads == 4);
  const corewise::limits guard({.blas = 2});
  CHECK(guard.outcomes().at(0).effective == 4);
}

TEST_CASE("MKL") {
  void* handle = load(library());
  check_idle("mkl", [&] { symbol<int()>(handle, "MKL_Get_Max_Threads")(); });
  const corewise::pool pool = only("mkl");
  CHECK(pool.prefix == "libmkl_rt");
  CHECK(pool.layer == "intel");
  CHECK(pool.scope == CW_SCOPE_THREAD);
  CHECK(pool.version.starts_with("20"));
  CHECK(pool.detail.find("MKL_DYNAMIC") != std::string::npos);
  // Its interface library has been loaded by now, and is no second pool.
  bool interface_loaded = false;
  cw_modules(
      [](const char* path, std::uintptr_t, void* found) {
        if (std::string_view(path).find("libmkl_intel_lp64") != std::string_view::npos) {
          *static_cast<bool*>(found) = true;
        }
        return 0;
      },
      &interface_loaded);
  CHECK(interface_loaded);
  CHECK(pools_of("mkl").size() == 1);
  CHECK(only("libiomp").prefix == "libiomp");
  symbol<void(int)>(handle, "MKL_Set_Dynamic")(0);
  exercise("mkl");
  // Undone means that the global count has its say again.
  symbol<void(int)>(handle, "MKL_Set_Num_Threads")(5);
  CHECK(only("mkl").threads == 5);
}

TEST_CASE("MKL inside torch") {
  void* handle = load(library());
  check_idle("mkl", [&] { symbol<int()>(handle, "MKL_Get_Max_Threads")(); });
  const corewise::pool pool = only("mkl");
  CHECK(pool.prefix == "libtorch_cpu");
  CHECK(pool.version.starts_with("2024"));
  CHECK(pool.scope == CW_SCOPE_THREAD);
  CHECK(pools_of("libgomp").size() == 1);
  exercise("libgomp");
  const int before = pool.threads;
  {
    const corewise::limits guard({.blas = 1});
    CHECK(only("mkl").threads == 1);
  }
  CHECK(only("mkl").threads == before);
}
