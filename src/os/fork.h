// What the core does around a fork, in one order.
//
// A child has one thread, the one that forked. A lock that another thread of the parent held at
// that moment would stay held in the child for ever. So every lock that a child may need is one of
// these. The forking thread takes them all before the fork, in the order of their ranks. Parent and
// child release them after it, in reverse order. A thread that takes several does so in rank order.
#pragma once

#include <cstddef>
#include <cstdint>
#include <mutex>

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
  kLimits,         // which limits are open
  kDiscovery,      // which pools there are
};

inline constexpr std::size_t kForkRanks = static_cast<std::size_t>(ForkRank::kDiscovery) + 1;

// The lock of this rank. It lives as long as the process.
std::mutex& fork_lock(ForkRank rank) noexcept;

// The forking thread calls these; each may be null.
struct ForkHandlers {
  void (*before)() = nullptr;     // with the locks up to this rank held
  void (*in_parent)() = nullptr;  // before its lock is released
  void (*in_child)() = nullptr;   // after its lock is released: the child has no other thread
};

// Takes effect at once. Each rank has one set of handlers; setting it again changes nothing.
void at_fork(ForkRank rank, const ForkHandlers& handlers) noexcept;

}  // namespace corewise::os
