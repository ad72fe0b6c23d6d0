// A look-alike whose buffers are a page from malloc, served as a real copy is.
#include <dlfcn.h>
#include <doctest/doctest.h>

#include <string>

#include "broken_code.h"
#include "govern/openblas_buffers/openblas_buffers.h"

using namespace corewise::govern;

namespace {

int entered = 0;
int left = 0;
const openblas_buffers::Listener kListener = {[](const void*, int) { ++entered; },
                                              [](const void*) { ++left; }};

constexpr const char* kPath = COREWISE_STUBS "/libopenblas-buffers.so";

template <class Function>
Function* function(const char* name) {
  void* const library = ::dlopen(kPath, RTLD_NOW);
  REQUIRE(library != nullptr);
  void* const found = ::dlsym(library, name);
  REQUIRE(found != nullptr);
  return reinterpret_cast<Function*>(found);
}

// What is said of the copy.
std::string reason(const std::vector<openblas_buffers::CopyReport>& all) {
  for (const openblas_buffers::CopyReport& copy : all) {
    if (copy.path == kPath) return copy.reason;
  }
  return "it was not found";
}

}  // namespace

TEST_CASE("OpenBLAS's buffers: a call that was told of is told of at its end") {
  auto* const alloc = function<void*(int)>("blas_memory_alloc");
  auto* const free = function<void(void*)>("blas_memory_free");
  openblas_buffers::listen(&kListener);
  REQUIRE(reason(openblas_buffers::install()) == "");
  void* const buffer = alloc(0);
  CHECK(entered == 1);
  // As when the program stops governing while another thread computes.
  openblas_buffers::listen(nullptr);
  CHECK(reason(openblas_buffers::remove()) ==
        "blas_memory_free stays replaced until the program gives back 1 buffer");
  free(buffer);
  CHECK(left == 1);
  CHECK(reason(openblas_buffers::remove()) == "");
  entered = left = 0;
}

TEST_CASE("OpenBLAS's buffers: what is out comes back, if the copy cannot be served again") {
  auto* const alloc = function<void*(int)>("blas_memory_alloc");
  auto* const free = function<void(void*)>("blas_memory_free");
  REQUIRE(reason(openblas_buffers::install()) == "");
  void* const buffer = alloc(0);
  openblas_buffers::remove();
  {
    const corewise::test::BrokenCode broken(reinterpret_cast<void*>(alloc), 0);
    CHECK(reason(openblas_buffers::install()).find("no longer holds") != std::string::npos);
  }
  free(buffer);  // the copy itself would end the program
  CHECK(reason(openblas_buffers::remove()) == "");
}
