// A key whose value is a handler. Each thread that has set the value calls it when the thread ends,
// after its thread-local objects are gone. Program exit does not call it.
#pragma once

#include <pthread.h>

#include <optional>

namespace corewise::os {

// None if the process has used up its keys.
inline std::optional<pthread_key_t> new_exit_key() {
  pthread_key_t key = 0;
  const auto call = [](void* named) { reinterpret_cast<void (*)()>(named)(); };
  return pthread_key_create(&key, call) == 0 ? std::optional(key) : std::nullopt;
}

// Without a key nothing is called.
inline void set_handler(std::optional<pthread_key_t> key, void (*handler)()) {
  if (key) pthread_setspecific(*key, reinterpret_cast<void*>(handler));
}

}  // namespace corewise::os
