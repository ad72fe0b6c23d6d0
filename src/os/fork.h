// What the core does around a fork, in one order.
//
// A child has one thread, the one that forked. A lock that another thread of the parent held at
// that moment would stay held in the child for ever. So every lock that a child may need is one of
// these. The forking thread takes them all before the fork, in the order of their ranks. Parent and
// child release them after it, in reverse order. A thread that takes several does so in rank order.
//
// While a thread forks, it runs other libraries' fork handlers too, with all these locks held. Such
// a handler may call what we have hooked, fork, or wait for a thread that loads a library. A
// handler of a signal may fork at any instruction of a fork on its own thread. So the locks are
// recursive, and no pass over new modules runs while a fork goes on.
#pragma once

#include <pthread.h>

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace corewise::os {

// In the order of taking. The child's handlers run in reverse order: a rank that starts threads
// there stands above the ranks that must be ready for them.
enum class ForkRank : std::uint8_t {
  kControl,        // the control server; starts its thread again in a child that it serves
  kAnswers,        // what was asked over the control socket
  kSampler,        // samples threads; asks govern
  kBuffers,        // OpenBLAS buffers that the parent's other threads held
  kLibgompPools,   // their workers do not exist in the child
  kTbbPermits,     // the parent's thread that renews them
  kGate,           // the parent's counts and grants
  kThreadCaps,     // counts that the parent's threads had lowered
  kGovern,         // who governs; the ranks that it calls stand below
  kDeathWatch,     // its scene
  kDispositions,   // whose handlers they are
  kIdlePools,      // words that say how long idle threads spin
  kServedCopies,   // copies of OpenBLAS that use our buffers
  kHooks,          // held while memory is made writable, so that no child inherits such memory
  kReport,         // the line of `corewise run --report`
  kThreadBinding,  // the mask that the main thread forked with
  kConfinement,    // whether system calls are refused
  kKeptFiles,      // files that stay open
  kLimits,         // which limits are open
  kDiscovery,      // which pools there are
};

inline constexpr std::size_t kForkRanks = static_cast<std::size_t>(ForkRank::kDiscovery) + 1;

// A recursive mutex that its holder still holds in the child of a fork, and whose holder is known
// from the instruction that takes it, so that a signal may come at any.
class ForkLock {
 public:
  void lock() noexcept;
  // False also if the calling thread holds it: what it guards may be half changed.
  bool try_lock() noexcept;
  void unlock() noexcept;
  bool is_held() const noexcept { return holder_.load() != 0; }
  // In the child of a fork, which has none of the threads that waited.
  void forget_waiters() noexcept { waiting_.store(0); }

 private:
  std::atomic<pthread_t> holder_{0};
  std::atomic<std::uint32_t> released_{0};  // how often: what waiting threads wait at
  std::atomic<std::uint32_t> waiting_{0};
  std::atomic<int> again_{0};  // how often its holder has taken it once more
};

// The lock of this rank. It lives as long as the process.
ForkLock& fork_lock(ForkRank rank) noexcept;

// Whether a thread of this process is between the first and the last of its fork handlers.
bool is_forking() noexcept;

// The forking thread calls these; each may be null.
struct ForkHandlers {
  void (*before)() = nullptr;     // with the locks up to this rank held
  void (*in_parent)() = nullptr;  // before its lock is released
  void (*in_child)() = nullptr;   // after its lock is released: the child has no other thread
};

// Takes effect at once. Each rank has one set of handlers; setting it again changes nothing.
void at_fork(ForkRank rank, const ForkHandlers& handlers) noexcept;

}  // namespace corewise::os
