#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "wait.h"

namespace corewise::os {

static_assert(sizeof(std::atomic<int>) == sizeof(int));

void wait(const std::atomic<int>& word, int value) {
  syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, value, nullptr, nullptr, 0);
}

void wake(const std::atomic<int>* word, int threads) {
  syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, threads, nullptr, nullptr, 0);
}

}  // namespace corewise::os
