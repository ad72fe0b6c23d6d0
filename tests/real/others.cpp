// OpenMP runtimes, oneTBB, Arrow and numba's layers as they are.
#include "support.h"

using namespace real;

namespace {

// Loads a copy that lost its name, and keeps its soname.
void* load_renamed(const std::string& path) {
  std::string folder = (std::filesystem::temp_directory_path() / "corewise-XXXXXX").string();
  REQUIRE(mkdtemp(folder.data()) != nullptr);
  const std::string copy = folder + "/renamed.bin";
  std::filesystem::copy_file(path, copy);
  void* handle = load(copy);
  std::filesystem::remove_all(folder);
  return handle;
}

// `idle`: of a runtime that sets itself up when it is first used.
void check_openmp(std::string_view runtime, void* idle = nullptr) {
  CHECK(corewise::pools().size() == 1);
  if (idle != nullptr) check_idle(runtime, [&] { symbol<int()>(idle, "omp_get_max_threads")(); });
  const corewise::pool pool = only(runtime);
  CHECK(pool.api == CW_API_OPENMP);
  CHECK(pool.scope == CW_SCOPE_THREAD);
  CHECK(pool.threads == 4);
  CHECK(pool.ceiling == 0);
  exercise(runtime);
}

void check_tbb() {
  void* handle = load(library());
  CHECK(only("tbb").scope == CW_SCOPE_PROCESS);
  CHECK(only("tbb").version.starts_with("202"));
  const auto max_concurrency = [&] {
    symbol<int(const void*)>(
        handle, "_ZN3tbb6detail2r115max_concurrencyEPKNS0_2d115task_arena_baseE")(nullptr);
  };
  check_idle("tbb", max_concurrency);
  exercise("tbb");

  // The program's own control is a bound that our limits do not lift.
  struct Control {
    std::size_t value;
    std::intptr_t reserved;
    int parameter;
  } own{2, 0, 0};
  auto* create =
      symbol<void(Control&)>(handle, "_ZN3tbb6detail2r16createERNS0_2d114global_controlE");
  auto* destroy =
      symbol<void(Control&)>(handle, "_ZN3tbb6detail2r17destroyERNS0_2d114global_controlE");
  const int before = only("tbb").threads;
  create(own);
  {
    const corewise::limits wide({.tbb = 4});
    CHECK(only("tbb").threads == 2);
    CHECK(wide.outcomes().at(0).effective == 2);
    // Nor does ours depend on theirs: with theirs gone, ours holds.
    const corewise::limits equal({.tbb = 2});
    destroy(own);
    CHECK(only("tbb").threads == 2);
  }
  CHECK(only("tbb").threads == before);
}

}  // namespace

TEST_CASE("libgomp") {
  load(library());
  check_openmp("libgomp");
}

TEST_CASE("libgomp under a thread limit") {
  load(library());
  const corewise::pool pool = only("libgomp");
  CHECK(pool.ceiling == 3);
  CHECK(try_limit(pool.id, 4) == CW_ABOVE_CEILING);
  CHECK(try_limit(pool.id, 3) == CW_OK);
}

TEST_CASE("libgomp of torch's wheel") {
  void* handle = load(library());
  CHECK(dlsym(handle, "omp_get_supported_active_levels") == nullptr);
  check_openmp("libgomp");
}

TEST_CASE("libomp") { check_openmp("libomp", load(library())); }

TEST_CASE("libomp under another name") { check_openmp("libomp", load_renamed(library())); }

TEST_CASE("libiomp5") { check_openmp("libiomp", load(library())); }

TEST_CASE("libiomp5 under another name") { check_openmp("libiomp", load_renamed(library())); }

TEST_CASE("oneTBB of Debian") { check_tbb(); }
TEST_CASE("oneTBB of PyPI") { check_tbb(); }

TEST_CASE("Arrow") {
  void* handle = load(library());
  check_idle("arrow", [&] { symbol<void*()>(handle, "_ZN5arrow8internal16GetCpuThreadPoolEv")(); });
  const corewise::pool pool = only("arrow");
  CHECK(pool.api == CW_API_ARROW);
  CHECK(pool.scope == CW_SCOPE_PROCESS);
  CHECK(pool.threads == 4);
  exercise("arrow");
}

TEST_CASE("numba's own layer") {
  load(library(), RTLD_LAZY);
  const corewise::pool pool = only("numba");
  CHECK(pool.layer == "workqueue");
  CHECK(pool.scope == CW_SCOPE_NONE);
  CHECK(pool.prefix == "workqueue");
  CHECK(pool.threads == 0);
  const corewise::limits guard({.numba = 2});
  REQUIRE(guard);
  CHECK(guard.outcomes().at(0).reason.find("numba.set_num_threads") != std::string::npos);
}

TEST_CASE("numba's layer over OpenMP") {
  // What it needs by another name than Debian's.
  load("libgomp.so.1", RTLD_NOW | RTLD_GLOBAL);
  void* handle = dlopen(library().c_str(), RTLD_LAZY);
  if (handle == nullptr) {
    std::printf("SKIPPED: %s\n", dlerror());
    std::fflush(stdout);
    std::_Exit(kSkipped);
  }
  CHECK(only("numba").layer == "omp");
  CHECK(only("numba").scope == CW_SCOPE_NONE);
}
