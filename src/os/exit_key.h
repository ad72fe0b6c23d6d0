// A key whose value is a handler. Each thread that has set the value calls it when the thread ends,
// after its thread-local objects are gone. Program exit does not call it.
#pragma once

#include <pthread.h>

namespace corewise::os {

inline pthread_key_t new_exit_key() {
  pthread_key_t key = 0;
  pthread_key_create(&key, [](void* named) { reinterpret_cast<void (*)()>(named)(); });
  return key;
}

inline void set_handler(pthread_key_t key, void (*handler)()) {
  pthread_setspecific(key, reinterpret_cast<void*>(handler));
}

}  // namespace corewise::os
