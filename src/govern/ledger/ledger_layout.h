// What the processes of one budget share: a few pages that all of them map.
//
// The truth about a process is one 64-bit word: who it is and how many threads it was granted.
// Both change in the same compare-and-swap, so no instruction at which a process may be killed
// leaves tokens without an owner, and one swap to zero gives back all that a dead process held.
// There is no total: it is the sum of the words, eight of which share a cache line.
//
// Everything here may be overwritten by a stranger with the same user id, so readers clamp.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "recent_callers.h"

namespace corewise::govern {

using Word = std::uint64_t;

// A word, from its lowest bit: tokens 16, image 8, start 18, pid 22 (Linux has at most 2^22 pids).
inline constexpr Word kTokenMask = 0xffff;

// Start and image tell a process from an earlier one with the same pid, and from the program that
// it ran before an exec. 0: unknown.
struct Identity {
  std::uint32_t pid = 0;
  std::uint32_t start = 0;
  std::uint32_t image = 0;
};

constexpr Word pack(const Identity& who) {
  return (Word{who.pid} & 0x3fffff) << 42 | (Word{who.start} & 0x3ffff) << 24 |
         (Word{who.image} & 0xff) << 16;
}

constexpr Identity identity(Word word) {
  return {static_cast<std::uint32_t>(word >> 42), static_cast<std::uint32_t>(word >> 24) & 0x3ffff,
          static_cast<std::uint32_t>(word >> 16) & 0xff};
}

// Whether two identities with one pid surely belong to different program runs.
constexpr bool contradict(const Identity& a, const Identity& b) {
  const bool start = a.start != 0 && b.start != 0 && a.start != b.start;
  const bool image = a.image != 0 && b.image != 0 && a.image != b.image;
  return start || image;
}

// What is known of the process that a word names. A stopped one runs on no CPU, whatever it holds.
enum class Life { runs, stopped, gone };

constexpr int tokens(Word word) { return static_cast<int>(word & kTokenMask); }
constexpr Word owner(Word word) { return word & ~kTokenMask; }

// A process's claim to a place in the table: the owner's bits of its word, with the place's number
// where the tokens are. 0: none.
using Claim = std::uint64_t;

inline constexpr std::uint32_t kPlaces = 512;
inline constexpr int kMaxBudget = 32768;

// Written before the file has a name, then constant.
struct Header {
  std::array<char, 8> magic;
  std::uint32_t version;
  std::uint32_t size;
  std::array<char, 216> key;  // for people, cut short if need be; key_hash is of the whole key
  std::uint64_t key_hash;
  std::uint64_t pid_namespace;  // pids are valid only in this one
  std::uint64_t checksum;       // of everything above
};

// Hints for grants. Only the place's owner writes.
struct alignas(64) Record {
  std::array<std::uint64_t, 4> reserved;  // earlier releases count there; nobody reads it
  std::atomic<std::uint32_t> hungry;      // regions inside that got fewer than they could use
  std::atomic<std::uint32_t> weight;      // of the process among those that want more
};

struct Shared {
  Header header;
  alignas(64) std::atomic<std::uint32_t> budget;
  std::atomic<std::uint32_t> reap_cursor;
  std::atomic<std::uint64_t> reap_due_ms;
  // Claims made (high half) and how many places a sum must read (low half). The former lets the
  // latter shrink: a claim between the reading and the swap makes the swap fail.
  std::atomic<std::uint64_t> used;
  // A budget that somebody chose while the programs run (group_budget.h); 0: none. It wins over
  // `budget`. The time, in clock ticks, is that of the choice, or of a later join.
  std::atomic<std::uint64_t> chosen_at;
  std::atomic<std::uint32_t> chosen;
  RecentCallers recent;
  alignas(64) std::array<std::atomic<Word>, kPlaces> words;
  std::array<Record, kPlaces> records;
};

// The stored value may be anything: clamp it to 1 .. kMaxBudget.
inline int budget_in(const Shared& shared) noexcept {
  const std::uint32_t chosen = shared.chosen.load(std::memory_order_relaxed);
  const std::uint32_t stored = chosen != 0 ? chosen : shared.budget.load(std::memory_order_relaxed);
  return static_cast<int>(std::clamp(stored, 1U, std::uint32_t{kMaxBudget}));
}

// Clamped like the budget.
inline int weight_in(const Record& record) noexcept {
  const std::uint32_t stored = record.weight.load(std::memory_order_relaxed);
  return static_cast<int>(std::clamp(stored, 1U, std::uint32_t{kMostWeight}));
}

inline constexpr std::array<char, 8> kMagic = {'c', 'o', 'r', 'e', 'w', 'i', 's', 'e'};
inline constexpr std::uint32_t kVersion = 2;

static_assert(std::atomic<Word>::is_always_lock_free, "a lock in shared memory outlives its owner");
static_assert(std::atomic<std::uint32_t>::is_always_lock_free);
static_assert(sizeof(std::atomic<Word>) == 8 && sizeof(Header) == 256);
static_assert(offsetof(Shared, budget) == 256 && offsetof(Shared, chosen_at) == 280 &&
                  offsetof(Shared, recent) == 320 && offsetof(Shared, words) == 384 &&
                  sizeof(Shared) == 384 + kPlaces * 72,
              "another layout is another kVersion");

}  // namespace corewise::govern
