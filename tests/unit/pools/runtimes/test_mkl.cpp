#include <dlfcn.h>
#include <doctest/doctest.h>
#include <unistd.h>

#include <filesystem>
#include <string>

#include "pools/discover.h"

using namespace corewise;
namespace fs = std::filesystem;

namespace {

// An installation of MKL in a folder of its own.
class Installation {
 public:
  Installation() {
    REQUIRE(::mkdtemp(folder_.data()) != nullptr);
    load("libmkl_rt_stub.so", "libmkl_rt.so");
    discover();
  }
  Installation(const Installation&) = delete;
  Installation& operator=(const Installation&) = delete;
  ~Installation() { fs::remove_all(folder_); }

  void load(const char* stub, const char* name) const {
    const std::string to = folder_ + "/" + name;
    fs::copy_file(std::string(COREWISE_STUBS "/") + stub, to);
    REQUIRE(::dlopen(to.c_str(), RTLD_NOW) != nullptr);
  }
  Use use() const {
    for (std::size_t id = 0; id < pool_count(); ++id) {
      const Pool& pool = pool_at(id);
      if (pool.path.starts_with(folder_)) return *pool.runtime->used(pool);
    }
    return Use::kUnknown;
  }

 private:
  std::string folder_ = fs::temp_directory_path() / "corewise-mkl-XXXXXX";
};

}  // namespace

TEST_CASE("two installations of MKL are used each for itself") {
  const Installation first;
  const Installation second;
  CHECK(first.use() == Use::kNotYet);
  // Its part has no threads: any question is answered.
  first.load("libmkl_stub_face.so", "libmkl_sequential.so");
  CHECK(first.use() == Use::kUsed);
  CHECK(second.use() == Use::kNotYet);
  second.load("libmkl_stub_face.so", "libmkl_intel_thread.so");
  CHECK(first.use() == Use::kUsed);
  CHECK(second.use() == Use::kNotYet);
}
