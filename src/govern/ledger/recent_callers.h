// How many threads, of all processes, asked for a grant in the last few milliseconds. Tokens tell
// only who is inside at this instant; with short calls (and with Python's GIL) callers that take
// turns are rarely inside together, yet each one's idle workers are still there. So a grant is at
// most the budget divided by the recent callers.
//
// A hint, never a truth: words expire by themselves after two epochs, so nothing needs repair after
// a crash, and a lost update costs one count for one epoch. This is policy, apart from the ledger's
// protocol, so that it can be tuned or switched off alone.
//
// A caller counts by its process's weight: of two callers with the weights 40 and 10, the first
// gets four fifths. What nobody asks for is not divided, so a light caller that is alone gets
// everything.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <optional>
#include <string_view>

#include "base/text.h"

namespace corewise::govern {

inline constexpr int kUsualWeight = 10;
inline constexpr int kMostWeight = 100;

// What COREWISE_WEIGHT may hold: a whole number from 1 to kMostWeight; else nothing.
inline std::optional<int> parse_weight(std::string_view text) {
  const auto weight = parse_integer(text);
  if (!weight || *weight < 1 || *weight > kMostWeight) return std::nullopt;
  return static_cast<int>(*weight);
}

struct RecentCallersPolicy {
  bool enabled = true;
  std::uint32_t epoch_ms = 25;

  // Of a caller of this weight; `all`: the weights of all callers together.
  int share(int budget, int all, int weight = 1) const {
    return std::max(1, static_cast<int>(std::int64_t{budget} * weight / std::max(weight, all)));
  }
};

// A thread's own memory of the last epoch it was counted in.
struct Caller {
  std::uint64_t epoch = 0;
};

class alignas(64) RecentCallers {
 public:
  // Counts the caller once per epoch; returns the larger sum of weights of this epoch and the last,
  // so that a new epoch does not begin with every caller believing it is alone.
  int enter(Caller& me, std::uint64_t now_ms, const RecentCallersPolicy& policy,
            int weight = 1) noexcept {
    const std::uint64_t epoch = epoch_of(now_ms, policy);
    if (me.epoch != epoch) {
      me.epoch = epoch;
      count(epoch, static_cast<std::uint64_t>(weight));
    }
    return around(epoch);
  }

  // For a caller that another thread has counted.
  int callers_now(std::uint64_t now_ms, const RecentCallersPolicy& policy) const noexcept {
    return around(epoch_of(now_ms, policy));
  }

 private:
  static constexpr unsigned kCountBits = 16;
  static constexpr std::uint64_t kCountMask = 0xffff;
  static constexpr std::uint64_t kEpochMask = ~std::uint64_t{0} >> kCountBits;
  // All callers meet here when an epoch begins; one that keeps losing goes uncounted.
  static constexpr int kTries = 8;

  static std::uint64_t epoch_of(std::uint64_t now_ms, const RecentCallersPolicy& policy) noexcept {
    return now_ms / std::max(1U, policy.epoch_ms) + 1;
  }
  int at(std::uint64_t epoch) const noexcept {
    const std::uint64_t word = word_of(epoch).load(std::memory_order_relaxed);
    return word >> kCountBits == (epoch & kEpochMask) ? static_cast<int>(word & kCountMask) : 0;
  }
  int around(std::uint64_t epoch) const noexcept { return std::max({1, at(epoch), at(epoch - 1)}); }

  std::atomic<std::uint64_t>& word_of(std::uint64_t epoch) noexcept { return words_[epoch % 8]; }
  const std::atomic<std::uint64_t>& word_of(std::uint64_t epoch) const noexcept {
    return words_[epoch % 8];
  }

  void count(std::uint64_t epoch, std::uint64_t weight) noexcept {
    std::atomic<std::uint64_t>& word = word_of(epoch);
    std::uint64_t seen = word.load(std::memory_order_relaxed);
    for (int i = 0; i < kTries; ++i) {
      const bool current = seen >> kCountBits == (epoch & kEpochMask);
      const std::uint64_t sum = std::min(kCountMask, (current ? seen & kCountMask : 0) + weight);
      const std::uint64_t next = (epoch & kEpochMask) << kCountBits | sum;
      if (word.compare_exchange_weak(seen, next, std::memory_order_relaxed)) return;
    }
  }

  std::array<std::atomic<std::uint64_t>, 8> words_;
};

}  // namespace corewise::govern
