// A pool of a stub library (tests/stubs), loaded into this process.
#pragma once

#include <dlfcn.h>
#include <doctest/doctest.h>

#include <string>

#include "pools/discover.h"

namespace corewise::test {

// `file`: "libblis.so". As loading leaves it: not asked what only a first use would tell.
inline Pool& unasked_stub_pool(const std::string& file) {
  const std::string path = COREWISE_STUBS "/" + file;
  REQUIRE(dlopen(path.c_str(), RTLD_NOW) != nullptr);
  discover();
  for (std::size_t id = 0; id < pool_count(); ++id) {
    if (pool_at(id).path == path) return pool_at(id);
  }
  FAIL("no pool was found in " << path);
  return pool_at(0);
}

// With all that its library tells.
inline Pool& stub_pool(const std::string& file) { return pool_asked(unasked_stub_pool(file).id); }

}  // namespace corewise::test
