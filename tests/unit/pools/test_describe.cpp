#include <doctest/doctest.h>

#include "stub_pool.h"

using namespace corewise;

TEST_CASE("an OpenBLAS over OpenMP shares the OpenMP count, however it was compiled") {
  for (const char* file : {"libopenblas-openmp.so", "libopenblas-noplt.so"}) {
    INFO(file);
    const Pool& pool = test::stub_pool(file);
    CHECK(pool.scope == CW_SCOPE_THREAD);
    CHECK(pool.counter != 0);
    CHECK(pool.counter == test::stub_pool("libgomp-stub.so").counter);
  }
}
