#include "main_thread_exit.h"

#include <dirent.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdlib>

#include "exit_key.h"
#include "patch.h"

namespace corewise::os {

void at_main_thread_exit(void (*handler)()) {
  static const std::optional<pthread_key_t> kKey = new_exit_key();
  if (is_main_thread()) set_handler(kKey, handler);
}

bool others_live() {
  DIR* const folder = opendir("/proc/self/task");
  if (folder == nullptr) return false;
  const long self = syscall(SYS_gettid);
  const long main = getpid();
  bool found = false;
  while (const dirent* entry = readdir(folder)) {  // NOLINT(concurrency-mt-unsafe)
    const long thread = std::strtol(&entry->d_name[0], nullptr, 10);
    found = found || (thread > 0 && thread != self && thread != main);
  }
  closedir(folder);
  return found;
}

}  // namespace corewise::os
