#include "thread_exit.h"

#include <unistd.h>

#include <algorithm>

#include "base/text.h"
#include "os.h"
#include "patch.h"

namespace corewise::os {

std::optional<pthread_key_t> new_exit_key() {
  pthread_key_t key = 0;
  const auto call = [](void* named) { reinterpret_cast<void (*)()>(named)(); };
  return pthread_key_create(&key, call) == 0 ? std::optional(key) : std::nullopt;
}

void set_handler(std::optional<pthread_key_t> key, void (*handler)()) {
  if (key) pthread_setspecific(*key, reinterpret_cast<void*>(handler));
}

void at_thread_exit(void (*handler)()) {
  static const std::optional<pthread_key_t> kKey = new_exit_key();
  set_handler(kKey, handler);
}

void at_main_thread_exit(void (*handler)()) {
  static const std::optional<pthread_key_t> kKey = new_exit_key();
  if (is_main_thread()) set_handler(kKey, handler);
}

bool others_live() {
  const int self = own_thread_id();
  return std::ranges::any_of(names_in("/proc/self/task"), [self](const std::string& name) {
    const auto thread = parse_integer(name);
    return thread && *thread != self && *thread != ::getpid();
  });
}

}  // namespace corewise::os
