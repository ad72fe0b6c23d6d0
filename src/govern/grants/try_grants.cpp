#include "try_grants.h"

#include <algorithm>
#include <atomic>
#include <cstdint>

#include "base/text.h"
#include "govern/ledger/ledger_layout.h"

namespace corewise::govern {
namespace {

// Read by hooks.
constinit std::atomic<int> fixed{0};  // 0: random
constinit std::atomic<std::uint64_t> random_state{0};

constexpr std::uint64_t kStep = 0x9e3779b97f4a7c15;

// SplitMix64: its state is a counter, so that threads draw without a lock.
std::uint64_t draw() {
  std::uint64_t z = random_state.fetch_add(kStep, std::memory_order_relaxed) + kStep;
  z = (z ^ (z >> 30U)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27U)) * 0x94d049bb133111eb;
  return z ^ (z >> 31U);
}

Grant acquire(void*, const GrantRequest& request) noexcept {
  if (request.kind != gate::VisitKind::kRegion || request.whole) return {.threads = request.wanted};
  const int most = fixed.load(std::memory_order_relaxed);
  if (most != 0) return {.threads = std::min(most, request.wanted)};
  return {.threads = 1 + static_cast<int>(draw() % static_cast<std::uint64_t>(request.wanted))};
}

void release(void*, const Grant&) noexcept {}

constexpr Grants kTried = {acquire, release, nullptr};

}  // namespace

Result<const Grants*> try_grants(std::string_view asked) {
  constexpr std::string_view kRandom = "random:";
  const bool random = asked.starts_with(kRandom);
  const auto number = parse_integer(random ? asked.substr(kRandom.size()) : asked);
  if (!number || *number < (random ? 0 : 1) || (!random && *number > kMaxBudget)) {
    return Error{CW_BAD_ARGUMENT, "COREWISE_TRY_GRANTS is " + quote(asked) +
                                      ": give a number of threads, or random:SEED"};
  }
  fixed.store(random ? 0 : static_cast<int>(*number), std::memory_order_relaxed);
  random_state.store(static_cast<std::uint64_t>(*number), std::memory_order_relaxed);
  return &kTried;
}

}  // namespace corewise::govern
