// What other users may read of a ledger: two sums, no names. How many threads its processes hold
// now, and how many they wanted in the last moments. docs/ledger.md has the rules.
//
// The first is one word, which only changes by a swap: the sum, and one process that holds some of
// it. A process that changed its own word of the ledger adds all words anew and swaps the sum in,
// unless somebody published since it began; then it begins again. So the last that published has
// seen what the others published before, and when nobody is amid a change the sum is exact. If the
// process that the word names dies or is stopped, readers take the word for nothing. The next one
// that publishes puts it right.
//
// The second is a hint: it expires by itself.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>

#include "ledger_protocol.h"

namespace corewise::govern {

// A claim expires after one to two of these periods.
inline constexpr std::uint64_t kAskedMs = 100;

struct alignas(64) PublicSums {
  std::atomic<std::uint64_t> ledger;  // which one; 0: none
  // A word as in the ledger, with the number of the publication where the image is.
  std::atomic<Word> held;
  // The most threads that were wanted at once: epoch 48 | threads 16, by even and odd epochs.
  std::array<std::atomic<std::uint64_t>, 2> asked;
};
static_assert(sizeof(PublicSums) == 64);

constexpr std::uint64_t asked_epoch(std::uint64_t now_ms) { return now_ms / kAskedMs + 1; }

// What a word of `asked` says of this epoch or the one before; else 0. Epochs to come are a lie.
constexpr int asked_in(std::uint64_t word, std::uint64_t epoch) {
  const bool recent = word >> 16 == epoch || (word >> 16) + 1 == epoch;
  return recent ? static_cast<int>(word & 0xffff) : 0;
}

// The word that readers check: without the number of the publication.
constexpr Word named_in(Word held) { return held & ~(Word{0xff} << 16); }

inline void note_asked(PublicSums& sums, int threads, std::uint64_t now_ms) noexcept {
  const std::uint64_t epoch = asked_epoch(now_ms);
  std::atomic<std::uint64_t>& word = sums.asked[epoch % 2];
  std::uint64_t seen = word.load(std::memory_order_relaxed);
  const auto most = static_cast<std::uint64_t>(std::clamp(threads, 0, 0xffff));
  while (seen >> 16 != epoch || (seen & 0xffff) < most) {
    if (word.compare_exchange_weak(seen, epoch << 16 | most, std::memory_order_relaxed)) return;
  }
}

// To be called by a process after each change of its own word. The sum that it published.
template <class World>
int publish(PublicSums& sums, const Protocol<World>& ledger, World& world, Claim mine) noexcept {
  // Each failure is another's success; one that keeps losing leaves it to them.
  constexpr int kTries = 64;
  HeldSum now{};
  for (int i = 0; i < kTries; ++i) {
    world.step();
    Word seen = sums.held.load();
    now = ledger.holding(mine);
    const Word number = (((seen >> 16) + 1) & 0xff) << 16;
    const Word next = (now.sum > 0 ? named_in(owner(now.by)) : 0) | number |
                      static_cast<Word>(std::min(now.sum, static_cast<int>(kTokenMask)));
    world.step();
    if (sums.held.compare_exchange_strong(seen, next)) break;
  }
  return now.sum;
}

}  // namespace corewise::govern
