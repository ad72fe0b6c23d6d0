// What the tests over real libraries share.
#pragma once

#include <dlfcn.h>
#include <doctest/doctest.h>

#include <corewise.hpp>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <thread>

namespace real {

constexpr int kSkipped = 77;

// The library under test; ends the process as skipped where it is not there.
inline std::string library() {
  const char* path = std::getenv("COREWISE_REAL_LIBRARY");
  if (path == nullptr || !std::filesystem::exists(path)) {
    std::printf("SKIPPED: %s is not there; install the Debian package, or set COREWISE_REAL_VENV\n",
                path == nullptr || *path == '\0' ? "the library" : path);
    std::fflush(stdout);
    std::_Exit(kSkipped);
  }
  return path;
}

inline void* load(const std::string& path, int flags = RTLD_NOW | RTLD_LOCAL) {
  void* handle = dlopen(path.c_str(), flags);
  INFO(std::string(handle == nullptr ? dlerror() : ""));
  REQUIRE(handle != nullptr);
  return handle;
}

template <class Function>
Function* symbol(void* handle, const char* name) {
  void* found = dlsym(handle, name);
  REQUIRE(found != nullptr);
  return reinterpret_cast<Function*>(found);
}

inline std::vector<corewise::pool> pools_of(std::string_view runtime) {
  std::vector<corewise::pool> found;
  for (const corewise::pool& pool : corewise::pools()) {
    if (pool.runtime == runtime) found.push_back(pool);
  }
  return found;
}

inline corewise::pool only(std::string_view runtime) {
  const auto found = pools_of(runtime);
  REQUIRE(found.size() == 1);
  return found.front();
}

inline int threads_on_another_thread(std::string_view runtime) {
  int threads = 0;
  std::thread([&] { threads = only(runtime).threads; }).join();
  return threads;
}

inline cw_status try_limit(std::uint32_t id, int threads) {
  const cw_rule rule{CW_MATCH_ID, nullptr, id, threads};
  const corewise::limits guard({&rule, 1});
  return guard.error().status();
}

// Looking at a library that the program has not used tells no count and changes nothing: what the
// program sets before its first use still counts.
template <class Use>
void check_idle(std::string_view runtime, Use&& use) {
  CHECK(only(runtime).threads == 0);
  CHECK(only(runtime).detail == "not used yet");
  const char* before = std::getenv("OMP_NUM_THREADS");
  const std::string kept = before != nullptr ? before : "";
  setenv("OMP_NUM_THREADS", "5", 1);
  CHECK(only(runtime).threads == 0);
  before != nullptr ? setenv("OMP_NUM_THREADS", kept.c_str(), 1) : unsetenv("OMP_NUM_THREADS");
  use();
  CHECK(only(runtime).threads > 0);
}

// Get, set, scope, nesting, undo and refusals of the one pool of a runtime.
inline void exercise(std::string_view runtime) {
  const corewise::pool pool = only(runtime);
  INFO(std::string(pool.path));
  const int before = pool.threads;
  REQUIRE(before >= 1);
  const int elsewhere = threads_on_another_thread(runtime);
  const auto by_id = [&](int threads) {
    const cw_rule rule{CW_MATCH_ID, nullptr, pool.id, threads};
    return corewise::limits({&rule, 1});
  };
  {
    corewise::limits outer = by_id(3);
    REQUIRE(outer);
    REQUIRE(outer.outcomes().size() == 1);
    CHECK(outer.outcomes()[0].before == before);
    CHECK(outer.outcomes()[0].effective == 3);
    CHECK(only(runtime).threads == 3);
    CHECK(threads_on_another_thread(runtime) == (pool.scope == CW_SCOPE_PROCESS ? 3 : elsewhere));
    corewise::limits inner = by_id(1);
    CHECK(only(runtime).threads == 1);
    outer.close();  // in the other order
    CHECK(only(runtime).threads == 1);
  }
  CHECK(only(runtime).threads == before);
  CHECK(threads_on_another_thread(runtime) == elsewhere);
  for (const int bad : {0, -1, CW_MAX_THREADS + 1}) {
    CHECK(try_limit(pool.id, bad) == CW_BAD_COUNT);
  }
  if (pool.ceiling > 0) CHECK(try_limit(pool.id, pool.ceiling + 1) == CW_ABOVE_CEILING);
  CHECK(only(runtime).threads == before);
}

}  // namespace real
