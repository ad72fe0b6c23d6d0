#include <dlfcn.h>
#include <doctest/doctest.h>

#include "pools/describe.h"
#include "pools/discover.h"

using namespace corewise;

TEST_CASE("a call finds what was loaded since, once") {
  discover();
  const std::size_t before = pool_count();
  REQUIRE(dlopen(COREWISE_STUBS "/libscipy_openblas.so", RTLD_NOW) != nullptr);
  CHECK(discover());
  REQUIRE(pool_count() == before + 1);
  CHECK(pool_at(before).id == before);
  CHECK(pool_at(before).proof.affix_prefix == "scipy_");
  CHECK(pool_at(before).proof.affix_suffix.empty());
  CHECK_FALSE(discover());
  CHECK(pool_count() == before + 1);
}

TEST_CASE("a recognised module stays loaded when its owner lets it go") {
  void* handle = dlopen(COREWISE_STUBS "/libscipy_openblas_64.so", RTLD_NOW);
  REQUIRE(handle != nullptr);
  discover();
  const Pool& pool = pool_at(pool_count() - 1);
  CHECK(pool.proof.affix_suffix == "_64");
  dlclose(handle);
  CHECK(pool.threads() == 8);
}

namespace {

// A module that exists in words only.
struct Words final : SymbolLookup {
  std::vector<std::string> exported;
  std::string file, so;
  std::uintptr_t address(std::string_view name) const override {
    for (std::size_t i = 0; i < exported.size(); ++i) {
      if (exported[i] == name) return i + 1;
    }
    return 0;
  }
  std::string file_name() const override { return file; }
  std::string soname() const override { return so; }
};

const char* recognised(std::vector<std::string> exported, std::string file = "x.so",
                       std::string soname = "") {
  Words words;
  words.exported = std::move(exported);
  words.file = std::move(file);
  words.so = std::move(soname);
  Proof proof;
  const Runtime* runtime = recognise(words, proof);
  return runtime != nullptr ? runtime->name : "none";
}

}  // namespace

TEST_CASE("which symbols prove which runtime") {
  const std::vector<std::string> gomp = {"omp_get_max_threads", "omp_set_num_threads",
                                         "GOMP_parallel"};
  auto llvm = gomp;
  llvm.push_back("__kmpc_fork_call");
  auto intel = llvm;
  intel.push_back("__kmp_reset_stats");
  CHECK(recognised({}) == std::string("none"));
  CHECK(recognised(gomp) == std::string("libgomp"));
  CHECK(recognised(llvm, "libgomp.so.1") == std::string("libomp"));
  CHECK(recognised(llvm, "x.so", "libiomp5.so") == std::string("libiomp"));
  CHECK(recognised(llvm, "libiomp5-1a2b.so") == std::string("libiomp"));
  CHECK(recognised(intel, "x.so") == std::string("libiomp"));
  CHECK(recognised({"omp_get_max_threads", "omp_set_num_threads"}) == std::string("none"));
  CHECK(recognised({"openblas_get_num_threads", "openblas_set_num_threads64_"}) ==
        std::string("none"));
  CHECK(recognised({"do_scheduling_signed", "get_parallel_chunksize"}) == std::string("none"));
  CHECK(recognised({"do_scheduling_signed", "get_parallel_chunksize", "PyInit_omppool"}) ==
        std::string("numba"));
  CHECK(recognised({"mkl_set_num_threads", "mkl_get_max_threads"}) == std::string("none"));
}

TEST_CASE("the prefix is of the file's name, else of the soname, else the stem") {
  Words words;
  const auto prefix = [&](const char* file, const char* soname) {
    words.file = file;
    words.so = soname;
    const Runtime* openblas = nullptr;
    for (const Runtime* runtime : runtimes()) {
      if (runtime->name == std::string("openblas")) openblas = runtime;
    }
    REQUIRE(openblas != nullptr);
    return name_prefix(*openblas, words);
  };
  CHECK(prefix("libscipy_openblas64_-1.so", "") == "libscipy_openblas");
  CHECK(prefix("odd.so", "libopenblas.so.0") == "libopenblas");
  CHECK(prefix("libblas.so.3", "libblas.so.3") == "libblas");
  CHECK(prefix("noextension", "") == "noextension");
}
