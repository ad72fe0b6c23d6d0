#include "fork.h"

#include <array>

#include "threads.h"

namespace corewise::os {
namespace {

using Handler = std::atomic<void (*)()>;
struct AtRank {
  ForkLock lock;
  Handler before{nullptr};
  Handler in_parent{nullptr};
  Handler in_child{nullptr};
};
constinit std::array<AtRank, kForkRanks> at_rank;

void call(const Handler& handler) {
  if (void (*const now)() = handler.load(std::memory_order_acquire)) now();
}

// Held from the first of our fork handlers to the last.
constinit ForkLock forking;

void before_fork() {
  forking.lock();
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
  forking.unlock();
}

void in_child() {
  forking.forget_waiters();
  for (std::size_t i = kForkRanks; i-- > 0;) {
    at_rank[i].lock.forget_waiters();
    at_rank[i].lock.unlock();
    call(at_rank[i].in_child);
  }
  forking.unlock();
}

// Registers while the library loads, before a thread can fork with one of these locks held.
[[maybe_unused]] const int registered = ::pthread_atfork(before_fork, in_parent, in_child);

AtRank& of_rank(ForkRank rank) noexcept { return at_rank[static_cast<std::size_t>(rank)]; }

}  // namespace

void ForkLock::lock() noexcept {
  const pthread_t me = ::pthread_self();
  if (holder_.load() == me) {
    again_.fetch_add(1);
    return;
  }
  for (pthread_t nobody = 0; !holder_.compare_exchange_strong(nobody, me); nobody = 0) {
    waiting_.fetch_add(1);
    const std::uint32_t before = released_.load();
    if (holder_.load() != 0) wait_at(released_, before, -1);
    waiting_.fetch_sub(1);
  }
}

bool ForkLock::try_lock() noexcept {
  pthread_t nobody = 0;
  return holder_.compare_exchange_strong(nobody, ::pthread_self());
}

void ForkLock::unlock() noexcept {
  if (again_.load() > 0) {
    again_.fetch_sub(1);
    return;
  }
  holder_.store(0);
  released_.fetch_add(1);
  if (waiting_.load() != 0) wake_one(released_);
}

ForkLock& fork_lock(ForkRank rank) noexcept { return of_rank(rank).lock; }

bool is_forking() noexcept { return forking.is_held(); }

void at_fork(ForkRank rank, const ForkHandlers& handlers) noexcept {
  AtRank& here = of_rank(rank);
  here.in_parent.store(handlers.in_parent, std::memory_order_release);
  here.in_child.store(handlers.in_child, std::memory_order_release);
  here.before.store(handlers.before, std::memory_order_release);
}

}  // namespace corewise::os
