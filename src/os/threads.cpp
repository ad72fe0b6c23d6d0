#include "threads.h"

#include <linux/futex.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstddef>

#include "base/blocked_signals.h"
#include "base/keep_errno.h"
#include "base/text.h"
#include "os.h"
#include "patch.h"

namespace corewise::os {
namespace {

void wake(const std::atomic<std::uint32_t>& word, int most) noexcept {
  const KeepErrno keep;
  ::syscall(SYS_futex, &word, FUTEX_WAKE_PRIVATE, most);
}

}  // namespace

int start_own_thread(pthread_t& thread, void* (*run)(void*), void* argument) noexcept {
  constexpr std::size_t kStack = std::size_t{512} << 10;
  const BlockedSignals blocked;
  pthread_attr_t attributes;
  ::pthread_attr_init(&attributes);
  ::pthread_attr_setstacksize(&attributes, kStack);
  int failed = ::pthread_create(&thread, &attributes, run, argument);
  // Libraries with much thread-local memory leave no room on a small stack.
  if (failed == EINVAL) failed = ::pthread_create(&thread, nullptr, run, argument);
  ::pthread_attr_destroy(&attributes);
  return failed;
}

void run_with_room(void (*run)()) noexcept {
  constexpr std::size_t kStack = std::size_t{512} << 10;
  rlimit most{};
  if (::getrlimit(RLIMIT_STACK, &most) != 0 || most.rlim_cur >= kStack) return run();
  void* const stack =
      ::mmap(nullptr, kStack, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (stack == MAP_FAILED) return run();
  // Static: together they are 2 KiB, on aarch64 9.
  static constinit ucontext_t there{};
  static constinit ucontext_t back{};
  if (::getcontext(&there) != 0) {
    ::munmap(stack, kStack);
    return run();
  }
  there.uc_stack.ss_sp = stack;
  there.uc_stack.ss_size = kStack;
  there.uc_link = &back;
  ::makecontext(&there, run, 0);
  ::swapcontext(&back, &there);
  ::munmap(stack, kStack);
}

bool queue_to_itself(const siginfo_t& info) noexcept {
  return ::syscall(SYS_rt_tgsigqueueinfo, ::getpid(), own_thread_id(), info.si_signo, &info) == 0;
}

void wait_at(const std::atomic<std::uint32_t>& word, std::uint32_t value, int most_ms) noexcept {
  const KeepErrno keep;
  const timespec most{most_ms / 1000, most_ms % 1000 * 1'000'000L};
  ::syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, value, most_ms < 0 ? nullptr : &most);
}

void wake_one(const std::atomic<std::uint32_t>& word) noexcept { wake(word, 1); }
void wake_all(const std::atomic<std::uint32_t>& word) noexcept { wake(word, INT_MAX); }

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
