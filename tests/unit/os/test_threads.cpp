#include <doctest/doctest.h>

#include <vector>

#include "os/threads.h"

using namespace corewise;

TEST_CASE("without a key of its own a handler leaves those of others alone") {
  std::vector<pthread_key_t> all;
  for (pthread_key_t key = 0; ::pthread_key_create(&key, nullptr) == 0;) all.push_back(key);
  // The first key of the process belongs to somebody else.
  const pthread_key_t first = 0;
  void* const before = ::pthread_getspecific(first);
  os::set_handler(os::new_exit_key(), [] {});
  CHECK(::pthread_getspecific(first) == before);
  ::pthread_setspecific(first, before);
  for (const pthread_key_t key : all) ::pthread_key_delete(key);
}
