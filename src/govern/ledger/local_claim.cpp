#include "local_claim.h"

#include <sys/mman.h>

#include <new>

#include "os/confined.h"

namespace corewise::govern {

LocalClaim::LocalClaim() noexcept {
  spare_.pid.store(os::own_process());
  void* page =
      mmap(nullptr, sizeof(Cell), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (page == MAP_FAILED) return;
  if (madvise(page, sizeof(Cell), MADV_WIPEONFORK) != 0) {
    munmap(page, sizeof(Cell));
    return;
  }
  cell_ = new (page) Cell;
  wiped_on_fork_ = true;
}

LocalClaim::~LocalClaim() {
  if (wiped_on_fork_) munmap(cell_, sizeof(Cell));
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
