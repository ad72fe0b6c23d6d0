// What is found in a process, and what is not taken for a runtime.
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <fstream>
#include <iterator>

#include "support.h"

using namespace stubs;

TEST_CASE("every affix of OpenBLAS") {
  const char* names[] = {"libopenblas",       "libopenblas64_",       "libopenblas_64",
                         "libscipy_openblas", "libscipy_openblas64_", "libscipy_openblas_64"};
  for (const char* name : names) load(name);
  const auto pools = pools_of("openblas");
  REQUIRE(pools.size() == 6);
  for (std::size_t i = 0; i < 6; ++i) {
    INFO(names[i]);
    CHECK(pools[i].path == (kFolder / (std::string(names[i]) + ".so")).string());
    CHECK(pools[i].prefix == (i < 3 ? "libopenblas" : "libscipy_openblas"));
    CHECK(pools[i].threads == 8);
    CHECK(pools[i].ceiling == 64);
    CHECK(pools[i].caller_slots == 128);
    CHECK(pools[i].version == "9.8.7");
    CHECK(pools[i].layer == "pthreads");
    CHECK(pools[i].architecture == "Stub");
  }
  const corewise::limits guard({.blas = 3});
  for (const auto& pool : pools_of("openblas")) CHECK(pool.threads == 3);
}

TEST_CASE("a copy with a meaningless name is known by its symbols") {
  const Scratch scratch;
  load_copy("libopenblas", scratch.path / "7f3a.bin");
  const corewise::pool pool = only("openblas");
  CHECK(pool.path == (scratch.path / "7f3a.bin").string());
  CHECK(pool.prefix == "libopenblas");  // of its soname
}

TEST_CASE("copies are pools of their own and a link is none") {
  const Scratch scratch;
  const Library first = load_copy("libopenblas", scratch.path / "libopenblas-a.so");
  const Library second = load_copy("libopenblas", scratch.path / "libopenblas-b.so");
  std::filesystem::create_symlink("libopenblas-a.so", scratch.path / "libopenblas-link.so");
  Library(scratch.path / "libopenblas-link.so");
  REQUIRE(pools_of("openblas").size() == 2);

  const std::string link = (scratch.path / "libopenblas-link.so").string();
  const cw_rule rule{CW_MATCH_PATH, link.c_str(), 0, 2};
  const corewise::limits guard({&rule, 1});
  CHECK(first.symbol<int()>("stub_count")() == 2);
  CHECK(second.symbol<int()>("stub_count")() == 8);
}

TEST_CASE("what lacks a function is no pool, and what has data in its place neither") {
  load("libopenblas-headless");
  load("libopenblas-data");
  load("libplain");
  CHECK(corewise::pools().empty());
}

TEST_CASE("a serial OpenBLAS is shown and left alone") {
  const Library library = load("libopenblas-serial");
  const corewise::pool pool = only("openblas");
  CHECK(pool.layer == "disabled");
  CHECK(pool.scope == CW_SCOPE_NONE);
  const corewise::limits guard({.blas = 4});
  REQUIRE(guard);
  CHECK(library.symbol<int()>("stub_sets")() == 0);
  REQUIRE(guard.outcomes().size() == 1);
  CHECK(guard.outcomes()[0].reason == "built without threads");
}

TEST_CASE("FlexiBLAS is not taken for the libraries whose names it answers to") {
  load("libflexiblas");
  REQUIRE(corewise::pools().size() == 1);
  const corewise::pool pool = only("flexiblas");
  CHECK(pool.version == "3.4.5");
  CHECK(pool.threads == 5);
  CHECK(pool.detail == "passes calls to NETLIB");
}

TEST_CASE("MKL inside another library") {
  const Library library = load("libanalysis");
  CHECK(only("mkl").prefix == "libanalysis");
  CHECK(only("mkl").version.empty());
  library.symbol<int()>("MKL_Get_Max_Threads")();
  CHECK(only("mkl").version == "2099.1-Product");
}

TEST_CASE("parts of one MKL are one pool") {
  const Library inside = load("libmkl_stub");
  const Library face = load("libmkl_stub_face");
  *face.symbol<int (*)()>("face_get") = inside.symbol<int()>("MKL_Get_Max_Threads");
  *face.symbol<int (*)(int)>("face_set") = inside.symbol<int(int)>("MKL_Set_Num_Threads_Local");
  CHECK(pools_of("mkl").size() == 1);
  CHECK(inside.symbol<int(int)>("MKL_Set_Num_Threads_Local")(0) == 0);

  const Scratch scratch;
  load_copy("libmkl_stub", scratch.path / "libmkl_other.so");
  CHECK(pools_of("mkl").size() == 2);
}

namespace {

// Shown, but not called until the program has.
void check_idle(std::string_view runtime, const Library& library, const char* is_set_up) {
  INFO(std::string(runtime));
  for (int look = 0; look < 2; ++look) {
    const corewise::pool pool = only(runtime);
    CHECK(pool.threads == 0);
    CHECK(pool.detail == "not used yet");
    std::size_t size = cw_info_json(nullptr, 0);
    std::string json(size, 0);
    cw_info_json(json.data(), size);
    CHECK(json.find(R"("threads":null)") != std::string::npos);
    CHECK(cw_doctor_json(nullptr, 0, &size) == CW_OK);
    CHECK(cw_sample_json(0, nullptr, 0, &size) == CW_OK);
    CHECK(cw_watch_death() == CW_OK);
    CHECK(cw_govern(nullptr) == CW_OK);
    CHECK(cw_ungovern() == CW_OK);
  }
  CHECK(library.symbol<int()>(is_set_up)() == 0);
}

}  // namespace

TEST_CASE("an idle LLVM runtime is not called by who only looks, and tells all once it is used") {
  const Library library = load("libomp-stub");
  check_idle("libomp", library, "stub_is_set_up");
  CHECK(only("libomp").ceiling == 0);
  library.symbol<int()>("omp_get_max_threads")();
  CHECK(only("libomp").threads == 6);
  CHECK(only("libomp").ceiling == 64);
  CHECK(only("libomp").detail.empty());
}

TEST_CASE("an idle MKL is not called by who only looks") {
  const Library library = load("libanalysis");
  check_idle("mkl", library, "stub_has_read");
  library.symbol<int()>("MKL_Get_Max_Threads")();
  CHECK(only("mkl").threads == 8);
}

TEST_CASE("an idle BLIS is not called by who only looks") {
  const Library library = load("libblis");
  check_idle("blis", library, "stub_is_set_up");
  CHECK(only("blis").version == "0.9.0");
  library.symbol<void()>("bli_init")();
  CHECK(only("blis").threads == 1);
  CHECK(only("blis").architecture == "stub");
}

TEST_CASE("who sets an idle library may ask it: limits, and the drop-in") {
  const Library library = load("libomp-stub");
  const cw_rule rule{CW_MATCH_ID, nullptr, only("libomp").id, 65};
  CHECK(corewise::limits({&rule, 1}).error().status() == CW_ABOVE_CEILING);
  CHECK(library.symbol<int()>("stub_is_set_up")() == 1);

  load("libblis");
  cw_pool raw;
  raw.size = sizeof raw;
  REQUIRE(cw_pool_ask(only("blis").id, &raw) == CW_OK);
  CHECK(raw.threads == 1);
  CHECK(raw.architecture == std::string("stub"));
}

TEST_CASE("LLVM's OpenMP is not taken for libgomp") {
  load("libomp-stub");
  Library(kFolder / "libgomp-stub.so");
  CHECK(only("libomp").scope == CW_SCOPE_THREAD);
  CHECK(only("libgomp").threads == 6);
}

TEST_CASE("BLIS before and after its count became the thread's") {
  const Library old = load("libblis");
  old.symbol<void()>("bli_init")();
  CHECK(only("blis").scope == CW_SCOPE_PROCESS);
  CHECK(only("blis").threads == 1);
  CHECK(only("blis").architecture == "stub");
  {
    const corewise::limits guard({.blas = 4});
    CHECK(only("blis").threads == 4);
  }
  CHECK(old.symbol<std::int64_t()>("stub_raw")() == -1);
  load("libblis-local");
  CHECK(pools_of("blis")[1].scope == CW_SCOPE_THREAD);
}

TEST_CASE("ways set for BLIS's loops are what runs, and are said to beat the limit") {
  load("libblis-ways").symbol<void()>("bli_init")();
  CHECK(only("blis").threads == 6);
  const corewise::limits guard({.blas = 2});
  REQUIRE(guard.outcomes().size() == 1);
  CHECK(guard.outcomes()[0].effective == 6);
  CHECK_FALSE(guard.outcomes()[0].reason.empty());
}

TEST_CASE("a path that is not UTF-8") {
  const Scratch scratch;
  const auto folder = scratch.path / "caf\xe9\n";
  std::filesystem::create_directory(folder);
  load_copy("libopenblas", folder / "libopenblas.so");
  const std::string path = (folder / "libopenblas.so").string();
  CHECK(only("openblas").path == path);
  std::string json(cw_info_json(nullptr, 0), '\0');
  cw_info_json(json.data(), json.size());
  CHECK(json.find("caf\\udce9\\u000a/libopenblas.so") != std::string::npos);
  const cw_rule rule{CW_MATCH_PATH, path.c_str(), 0, 2};
  const corewise::limits guard({&rule, 1});
  CHECK(only("openblas").threads == 2);
}

TEST_CASE("a file deleted while loaded") {
  const Scratch scratch;
  const auto path = scratch.path / "libopenblas.so";
  load_copy("libopenblas", path);
  std::filesystem::remove(path);
  CHECK(only("openblas").path == path.string());
  const corewise::limits guard({.blas = 2});
  CHECK(only("openblas").threads == 2);
}

TEST_CASE("a file replaced while loaded, and the new one loaded too") {
  const Scratch scratch;
  const auto path = scratch.path / "libopenblas.so";
  const Library old = load_copy("libopenblas", path);
  std::filesystem::remove(path);
  std::filesystem::copy_file(kFolder / "libopenblas.so", path);
  std::filesystem::create_symlink(path, scratch.path / "link.so");
  const Library replacement(scratch.path / "link.so");
  CHECK(pools_of("openblas").size() == 2);
  const corewise::limits guard({.blas = 2});
  CHECK(old.symbol<int()>("stub_count")() == 2);
  CHECK(replacement.symbol<int()>("stub_count")() == 2);
}

TEST_CASE("a library in a memory file, whose descriptor names another file by now") {
  std::ifstream file(kFolder / "libopenblas.so", std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(file), {}};
  const int fd = memfd_create("in-memory", 0);
  REQUIRE(write(fd, bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size()));
  const std::string name = "/proc/self/fd/" + std::to_string(fd);
  const Library library{std::filesystem::path(name)};
  REQUIRE(dup2(STDIN_FILENO, fd) == fd);
  CHECK(only("openblas").path == name);
  const corewise::limits guard({.blas = 2});
  CHECK(library.symbol<int()>("stub_count")() == 2);
}

TEST_CASE("a module that takes the place of another is seen") {
  // The same file but for the name of one function: it is laid out alike, and loaded where the
  // other was.
  const Scratch scratch;
  std::ifstream file(kFolder / "libopenblas.so", std::ios::binary);
  std::string bytes{std::istreambuf_iterator<char>(file), {}};
  for (std::size_t at; (at = bytes.find("openblas_get_num")) != std::string::npos;) bytes[at] = 'x';
  std::ofstream(scratch.path / "first.so", std::ios::binary) << bytes;
  const Library first(scratch.path / "first.so");
  const auto place = reinterpret_cast<std::uintptr_t>(first.symbol<int()>("stub_count"));
  CHECK(corewise::pools().empty());
  first.close();
  const Library second = load_copy("libopenblas", scratch.path / "second.so");
  REQUIRE(reinterpret_cast<std::uintptr_t>(second.symbol<int()>("stub_count")) == place);
  CHECK(pools_of("openblas").size() == 1);
}

TEST_CASE("more pools than the table holds") {
  const Scratch scratch;
  for (int i = 0; i < 1030; ++i) {
    const auto copy = scratch.path / (std::to_string(i) + ".so");
    std::filesystem::copy_file(kFolder / "libopenblas.so", copy);
    Library loaded(copy);
    std::filesystem::remove(copy);
  }
  CHECK(corewise::pools().size() == 1024);
  const corewise::limits guard({.blas = 2});
  REQUIRE(guard);
  CHECK(guard.outcomes().size() == 1024);
  CHECK(corewise::pools().back().threads == 2);
}
