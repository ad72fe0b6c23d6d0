// All signals are blocked in the calling thread, and in the threads that it starts, while the
// object lives: none of the program's handlers runs there. May be used in signal handlers.
#pragma once

#include <signal.h>

namespace corewise {

class BlockedSignals {
 public:
  BlockedSignals() noexcept {
    sigset_t all;
    ::sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  BlockedSignals(const BlockedSignals&) = delete;
  BlockedSignals& operator=(const BlockedSignals&) = delete;
  // A handler of what was pending may leave by unwinding.
  // NOLINTNEXTLINE(bugprone-unsafe-to-allow-exceptions)
  ~BlockedSignals() noexcept(false) { ::pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

 private:
  sigset_t before_{};
};

}  // namespace corewise
