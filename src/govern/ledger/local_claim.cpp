#include "local_claim.h"

#include "base/wiped_on_fork.h"
#include "os/confined.h"

namespace corewise::govern {

LocalClaim::LocalClaim() noexcept {
  spare_.pid.store(os::own_process());
  Cell* const page = new_wiped_on_fork<Cell>();
  if (page == nullptr) return;
  cell_ = page;
  wiped_on_fork_ = true;
}

LocalClaim::~LocalClaim() {
  if (wiped_on_fork_) delete_wiped_on_fork(cell_);
}

void LocalClaim::forget_if_forked() const noexcept {
  const pid_t now = os::own_process();
  Claim inherited = cell_->claim.load();
  if (cell_->pid.load() == now) return;
  cell_->claim.compare_exchange_strong(inherited, 0);
  cell_->retry_at_ms.store(0);
  cell_->pid.store(now);
}

}  // namespace corewise::govern
