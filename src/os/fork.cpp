#include "fork.h"

#include <pthread.h>

#include <array>
#include <atomic>

namespace corewise::os {
namespace {

using Handler = std::atomic<void (*)()>;
struct AtRank {
  std::mutex lock;
  Handler before{nullptr};
  Handler in_parent{nullptr};
  Handler in_child{nullptr};
};
constinit std::array<AtRank, kForkRanks> at_rank;

void call(const Handler& handler) {
  if (void (*const now)() = handler.load(std::memory_order_acquire)) now();
}

void before_fork() {
  for (AtRank& here : at_rank) {
    here.lock.lock();
    call(here.before);
  }
}

void in_parent() {
  for (std::size_t i = kForkRanks; i-- > 0;) {
    call(at_rank[i].in_parent);
    at_rank[i].lock.unlock();
  }
}

void in_child() {
  for (std::size_t i = kForkRanks; i-- > 0;) {
    at_rank[i].lock.unlock();
    call(at_rank[i].in_child);
  }
}

// Registers while the library loads, before a thread can fork with one of these locks held.
[[maybe_unused]] const int registered = ::pthread_atfork(before_fork, in_parent, in_child);

AtRank& of_rank(ForkRank rank) noexcept { return at_rank[static_cast<std::size_t>(rank)]; }

}  // namespace

std::mutex& fork_lock(ForkRank rank) noexcept { return of_rank(rank).lock; }

void at_fork(ForkRank rank, const ForkHandlers& handlers) noexcept {
  AtRank& here = of_rank(rank);
  here.in_parent.store(handlers.in_parent, std::memory_order_release);
  here.in_child.store(handlers.in_child, std::memory_order_release);
  here.before.store(handlers.before, std::memory_order_release);
}

}  // namespace corewise::os
