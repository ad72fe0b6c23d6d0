// The ledger's protocol over shared words, independent of the system: how a process claims a place,
// takes and gives back tokens, and how the dead are reaped. docs/ledger.md says why it is right,
// tests/govern/ledger.pml is its model, and tests run this very code under a scheduler of their
// own: World tells time and death, and is told before every access to a word.
//
// The process that a word names may write it while it lives; once that process is gone, anybody may
// set it to zero, by one swap. The dead write nothing, so that swap cannot hit a newer value. While
// a process is stopped, anybody may take its tokens, also by one swap: when it goes on, the regions
// that it was in end without any, and what they return stops at zero. A reaper that stalls before
// that swap may take those of a region begun since, which heals in the same way.
//
// Every access that a promise rests on is sequentially consistent: take() publishes, then looks,
// and of two that do so at once at least one must see the other.
#pragma once

#include <algorithm>

#include "ledger_layout.h"

namespace corewise::govern {

// A process that found no place asks again after this long; until then it gets one thread a region.
inline constexpr std::uint64_t kClaimAgainMs = 1000;

constexpr std::uint32_t place_of(Claim claim) {
  return static_cast<std::uint32_t>(claim & kTokenMask);
}

// How many tokens there are, and a process that holds some of them.
struct HeldSum {
  int sum = 0;
  Word by = 0;
};

// World: void step(); Life life(Word, bool closely); std::uint64_t now_ms().
template <class World>
class Protocol {
 public:
  Protocol(Shared& shared, World& world) : shared_(shared), world_(world) {}

  // A place for `self`; 0 if all are taken. What an earlier run of this pid left is freed.
  Claim claim(Word self) noexcept {
    const bool may_reap = elected();
    if (may_reap) reap(Depth::kQuick);
    if (const Claim got = claim_free(self)) return got;
    if (may_reap) reap(Depth::kThorough);
    return claim_free(self);
  }

  bool holds(Claim claim) const noexcept { return owner(load(place_of(claim))) == owner(claim); }

  void give_up(Claim claim) noexcept {
    Word word = load(place_of(claim));
    while (owner(word) == owner(claim) && !swap(place_of(claim), word, 0)) {
    }
  }

  // The rest of its own part that a claim does not hold yet, at least 1.
  int left_of(Claim claim, int part) const noexcept {
    return std::max(1, part - (part > 1 ? tokens(load(place_of(claim))) : 0));
  }

  // Takes up to `limit` of what is free of the budget, and of `within`, but at least `least`; 0 if
  // the claim no longer holds. With a `part` above 1, `least` is what left_of() said: of the
  // process's threads that enter at once, only one gets it.
  int take(Claim claim, int limit, int least = 1, int within = kMaxBudget, int part = 1) noexcept {
    limit = std::max(least, limit);
    const int most = std::min(budget(), within);
    int free = most - total();
    if (free < limit && elected()) {
      reap(Depth::kQuick);
      free = most - total();
    }
    int grant = std::clamp(free, least, limit);
    if (!add(claim, grant)) return 0;
    // Others may have published since we looked. A published number can only fall. So the last to
    // publish has seen all the others, and it is the one that gives way.
    while (grant > (part > 1 ? 1 : least)) {
      const int over = total() - most;
      if (over <= 0) break;
      const int less = shrink(claim, grant, over, least, part);
      if (less == grant) break;
      grant = less;
    }
    return grant;
  }

  void give_back(Claim claim, int grant) noexcept { add(claim, -grant); }

  int total() const noexcept { return holding(0).sum; }

  // Names the process of this claim if it holds any.
  HeldSum holding(Claim mine) const noexcept {
    HeldSum all;
    const std::uint32_t count = used_count(shared_.used.load());
    for (std::uint32_t place = 0; place < count; ++place) {
      const Word word = load(place);
      if (tokens(word) == 0) continue;
      all.sum += tokens(word);
      if (owner(all.by) != owner(mine) || all.by == 0) all.by = word;
    }
    return all;
  }

  // The weights of all regions inside that have fewer threads than they could use. A hint: at most
  // as many regions as the tokens that go with them, so that neither the dead nor strangers leave
  // any.
  int hungry() const noexcept {
    int sum = 0;
    const std::uint32_t count = used_count(shared_.used.load());
    for (std::uint32_t place = 0; place < count; ++place) {
      const int held = tokens(load(place));
      if (held == 0) continue;
      const std::uint32_t said = shared_.records[place].hungry.load(std::memory_order_relaxed);
      sum += static_cast<int>(std::min(said, static_cast<std::uint32_t>(held))) *
             weight_in(shared_.records[place]);
    }
    return sum;
  }

  int budget() const noexcept { return budget_in(shared_); }

  enum class Depth { kQuick, kThorough };

  // Frees the places of the dead, and the tokens of the stopped. Asking whether a pid exists is
  // cheap; whether it is still the same program run is not, so a quick pass asks that of a few
  // token holders, in turn.
  void reap(Depth depth) noexcept {
    const std::uint32_t count = used_count(shared_.used.load());
    const std::uint32_t first = shared_.reap_cursor.load(std::memory_order_relaxed);
    int examined = 0;
    for (std::uint32_t i = 0; i < count; ++i) {
      const std::uint32_t place = (first % count + i) % count;
      Word word = load(place);
      if (word == 0) continue;
      bool closely = depth == Depth::kThorough;
      if (!closely && tokens(word) > 0 && examined < kMostExamined) {
        closely = true;
        if (++examined == kMostExamined) shared_.reap_cursor.store(place + 1);
      }
      const Life life = world_.life(word, closely);
      if (life == Life::gone) swap(place, word, 0);
      if (life == Life::stopped && tokens(word) > 0) swap(place, word, owner(word));
    }
    trim();
  }

 private:
  static constexpr std::uint64_t kReapEveryMs = 50;
  static constexpr int kMostExamined = 4;

  static std::uint32_t used_count(std::uint64_t used) {
    return std::min(static_cast<std::uint32_t>(used), kPlaces);
  }

  Word load(std::uint32_t place) const noexcept {
    world_.step();
    return shared_.words[place % kPlaces].load();
  }

  bool swap(std::uint32_t place, Word& expected, Word desired) noexcept {
    world_.step();
    return shared_.words[place % kPlaces].compare_exchange_strong(expected, desired);
  }

  // Adds to the tokens of a claim that still holds; never below zero nor into its neighbour bits.
  bool add(Claim claim, int change) noexcept {
    const std::uint32_t place = place_of(claim);
    Word word = load(place);
    while (owner(word) == owner(claim)) {
      const int sum = tokens(word) + change;
      if (sum > static_cast<int>(kTokenMask)) return false;
      const Word next = owner(word) | static_cast<Word>(std::max(0, sum));
      if (swap(place, word, next)) return true;
    }
    return false;
  }

  // Lowers a grant of this claim by `over`, or by half, and returns what is left of it: no less
  // than `least`, which falls by what the process's other threads hold of its part. That is seen
  // and the grant lowered in one swap, so that two threads of a process do not both give way.
  int shrink(Claim claim, int grant, int over, int least, int part) noexcept {
    const std::uint32_t place = place_of(claim);
    Word word = load(place);
    while (owner(word) == owner(claim)) {
      const int beside = std::max(0, tokens(word) - grant);
      const int floor = part > 1 ? std::min(least, std::max(1, part - beside)) : least;
      if (grant <= floor) return grant;
      const int less = std::max({floor, grant - over, grant / 2});
      const int sum = std::max(0, tokens(word) + less - grant);
      if (swap(place, word, owner(word) | static_cast<Word>(sum))) return less;
    }
    return grant;
  }

  Claim claim_free(Word self) noexcept {
    Claim got = 0;
    const std::uint32_t count = used_count(shared_.used.load());
    for (std::uint32_t place = 0; place < kPlaces && (!got || place < count); ++place) {
      Word word = load(place);
      const bool earlier_run =
          identity(word).pid == identity(self).pid && contradict(identity(word), identity(self));
      if (earlier_run && swap(place, word, 0)) word = 0;
      if (!got && word == 0 && swap(place, word, self)) got = self | place;
    }
    if (got) cover(place_of(got));
    return got;
  }

  // Makes sums read this place. Before its owner takes a token, so that none is ever overlooked.
  void cover(std::uint32_t place) noexcept {
    std::uint64_t used = shared_.used.load();
    std::uint64_t next = 0;
    do {
      const std::uint64_t claims = (used >> 32) + 1;
      next = claims << 32 | std::max(used_count(used), place + 1);
      world_.step();
    } while (!shared_.used.compare_exchange_weak(used, next));
  }

  void trim() noexcept {
    std::uint64_t used = shared_.used.load();
    const std::uint32_t count = used_count(used);
    std::uint32_t last = count;
    while (last > 0 && load(last - 1) == 0) --last;
    if (last == count) return;
    world_.step();
    shared_.used.compare_exchange_strong(used, (used >> 32) << 32 | last);
  }

  // One process at a time reaps; if it dies meanwhile, the next takes over when the time is up.
  bool elected() noexcept {
    const std::uint64_t now = world_.now_ms();
    std::uint64_t due = shared_.reap_due_ms.load(std::memory_order_relaxed);
    const bool credible = due <= now + 2 * kReapEveryMs;
    if (credible && now < due) return false;
    return shared_.reap_due_ms.compare_exchange_strong(due, now + kReapEveryMs);
  }

  Shared& shared_;
  World& world_;
};

}  // namespace corewise::govern
