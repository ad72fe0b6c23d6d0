// Which place this process holds in one ledger. The child of a fork forgets it without any handler:
// the kernel hands the child this page empty, so that the child claims a place of its own and
// grants inherited from the parent mean nothing in it. Kernels before 4.14 do not; there we compare
// the process id each time.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <cstdint>

#include "ledger_protocol.h"

namespace corewise::govern {

class LocalClaim {
 public:
  LocalClaim() noexcept;
  LocalClaim(const LocalClaim&) = delete;
  LocalClaim& operator=(const LocalClaim&) = delete;
  ~LocalClaim();

  Claim get() const noexcept {
    if (!wiped_on_fork_) forget_if_forked();
    return cell_->claim.load(std::memory_order_acquire);
  }

  // If another thread was faster, `expected` becomes what it set.
  bool replace(Claim& expected, Claim desired) noexcept {
    return cell_->claim.compare_exchange_strong(expected, desired);
  }

  // When a process without a place should ask again; 0 in every new child.
  std::atomic<std::uint64_t>& retry_at_ms() noexcept { return cell_->retry_at_ms; }

 private:
  struct Cell {
    std::atomic<Claim> claim{0};
    std::atomic<std::uint64_t> retry_at_ms{0};
    std::atomic<pid_t> pid{0};
  };

  void forget_if_forked() const noexcept;

  Cell spare_;
  Cell* cell_ = &spare_;
  bool wiped_on_fork_ = false;
};

}  // namespace corewise::govern
