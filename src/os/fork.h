// What the core does around a fork, in one order.
//
// A child has one thread, the one that forked. A lock that another thread of the parent held at
// that moment would stay held in the child for ever. So every lock that a child may need is one of
// these: the thread that forks takes them all before, in the order of their ranks, and parent and
// child release them after, the last one first. Whoever holds several at once takes them in the
// same order.
#pragma once

#include <cstddef>
#include <cstdint>
#include <mutex>

namespace corewise::os {

// From the first to take to the last. In the child the order is the other way round: what starts
// threads there stands above what must be ready for them.
enum class ForkRank : std::uint8_t {
  kControl,       // the control server; starts its thread again in the child
  kSampler,       // of threads; asks govern
  kBuffers,       // OpenBLAS's, that the parent's other threads held
  kLibgompPools,  // whose workers are not in the child
  kGate,          // counts and grants of the parent's
  kThreadCaps,    // what the parent's threads had lowered
  kGovern,        // who governs; what it calls stands below
  kDeathWatch,    // its scene
  kDispositions,  // whose handlers they are
  kIdlePools,     // words that say how long idle threads spin
  kServedCopies,  // of OpenBLAS, that have buffers of ours
  kHooks,         // held while memory is made writable, so that no child inherits such memory
  kReport,        // the line of `corewise run --report`
  kBinding,       // the mask that the main thread forked with
  kConfinement,   // whether system calls are refused
  kLimits,        // which limits are open
  kDiscovery,     // which pools there are
};

inline constexpr std::size_t kForkRanks = static_cast<std::size_t>(ForkRank::kDiscovery) + 1;

// The lock of this rank. It lives as long as the process.
std::mutex& fork_lock(ForkRank rank) noexcept;

// Called by the thread that forks; each may be null.
struct ForkHandlers {
  void (*before)() = nullptr;     // with the locks up to this rank held
  void (*in_parent)() = nullptr;  // before its lock is released
  void (*in_child)() = nullptr;   // after its lock was released: nobody else is there
};

// From now on. One set of handlers a rank; naming them again changes nothing.
void at_fork(ForkRank rank, const ForkHandlers& handlers) noexcept;

}  // namespace corewise::os
