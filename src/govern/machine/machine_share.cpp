#include "machine_share.h"

#include <unistd.h>

#include <algorithm>
#include <utility>

#include "base/clock.h"
#include "base/json.h"
#include "base/keep_errno.h"
#include "govern/ledger/shared_file.h"
#include "os/confined.h"

namespace corewise::govern {
namespace {

constexpr std::uint64_t kReadEveryMs = 50;
// CPUs left over go round among those who want more.
constexpr std::uint64_t kTurnMs = 10'000;

constinit std::atomic<MachineShare*> newest{nullptr};

}  // namespace

MachineShare::MachineShare(std::string directory, const OwnPage& own, PublicSums& sums, int cpus)
    : directory_(std::move(directory)),
      page_(*own.at),
      user_(own.user),
      number_(sums.ledger.load()),
      sums_(&sums),
      cpus_(cpus),
      share_(cpus) {}

MachineShare* MachineShare::open(const std::string& directory, const std::string& ledger, int cpus,
                                 std::string& finding) {
  OwnPage own = open_own_page(directory);
  finding = std::move(own.finding);
  if (own.at == nullptr) return nullptr;
  PublicSums* const sums = sums_for(own, fnv(ledger) | 1, now_ms());
  if (sums == nullptr) {
    finding = "The machine is not shared with other users: " + std::to_string(kPublicLedgers) +
              " budgets of this user share it already. Let programs share a budget (--group).";
    return nullptr;
  }
  auto* const made = new MachineShare(directory, own, *sums, cpus);
  made->keep();
  made->read_others(now_ms());
  return made;
}

void MachineShare::keep() noexcept {
  older_ = newest.load();
  while (!newest.compare_exchange_weak(older_, this)) {
  }
}

int MachineShare::most(std::uint64_t now_ms) noexcept {
  std::uint64_t due = due_ms_.load(std::memory_order_relaxed);
  if (now_ms >= due && due_ms_.compare_exchange_strong(due, now_ms + kReadEveryMs))
    read_others(now_ms);
  return share_.load(std::memory_order_relaxed);
}

void MachineShare::read_others(std::uint64_t now_ms) noexcept {
  // A confined process takes no notice of others, as without sharing.
  if (os::is_confined()) {
    share_.store(cpus_, std::memory_order_relaxed);
    others_.store(0, std::memory_order_relaxed);
    return;
  }
  const KeepErrno keep;
  const std::uint64_t began = now_ns();
  // After a long pause our place may have gone to another ledger.
  if (PublicSums* const mine = sums_for({&page_, user_, {}}, number_, now_ms)) sums_.store(mine);
  std::array<Claimant, kMostUsers> users;
  const std::size_t count = read_claims(directory_.c_str(), user_, users, now_ms);
  const int ours = fair_share(cpus_, std::span(users).first(count), user_, now_ms / kTurnMs);
  // Our own ledgers divide it in the same way.
  std::array<Claimant, kPublicLedgers> ledgers;
  std::size_t others = 0;
  for (std::uint32_t i = 0; i < kPublicLedgers; ++i) {
    const PublicSums& sums = page_.ledgers[i];
    if (sums.ledger.load() != number_) ledgers[others++] = {i, claimed(sums, user_, now_ms)};
  }
  const auto own = static_cast<std::uint32_t>(&sums() - page_.ledgers.data());
  share_.store(fair_share(ours, std::span(ledgers).first(others), own, now_ms / kTurnMs),
               std::memory_order_relaxed);
  others_.store(static_cast<int>(count), std::memory_order_relaxed);
  // A hundred times as long as the reading took.
  const std::uint64_t rest_ms = (now_ns() - began) / 10'000;
  due_ms_.store(now_ms + std::max(kReadEveryMs, rest_ms), std::memory_order_relaxed);
}

MachineShare::UserPart MachineShare::standing(std::uint64_t now_ms) noexcept {
  read_others(now_ms);
  return {cpus_, share_.load(std::memory_order_relaxed), others_.load(std::memory_order_relaxed)};
}

void write_part(Json& json, const MachineShare::UserPart& part) {
  json.open('{').field("cpus", part.cpus).field("share", part.share);
  json.field("others", part.others).close('}');
}

MachineShare::UserPart standing_of_newcomer(const std::string& directory, int cpus) {
  std::array<Claimant, kMostUsers> users;
  const std::uint64_t now = now_ms();
  const uid_t self = ::geteuid();
  const std::size_t count = read_claims(directory.c_str(), self, users, now);
  return {cpus, fair_share(cpus, std::span(users).first(count), self, now / kTurnMs),
          static_cast<int>(count)};
}

}  // namespace corewise::govern
