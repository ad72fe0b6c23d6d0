// Makes the gate's grants: from the ledger, and from what it cannot know about others on the CPUs.
#pragma once

#include <atomic>
#include <memory>
#include <string>

#include "gate.h"
#include "govern/ledger/ledger.h"
#include "govern/machine/machine_share.h"
#include "mask_watch.h"
#include "run_queue.h"

namespace corewise::govern {

// Never destroyed: a thread may be about to use it.
class Granter {
 public:
  static Result<Granter*> open(const std::string& key, int budget);

  const std::string& key() const { return key_; }
  Ledger& ledger() { return *ledger_; }
  const Ledger& ledger() const { return *ledger_; }
  const Grants* grants() const { return &grants_; }

  // How many CPUs the machine has, whoever may use them; 0: ignore other people's work.
  void share_machine(int cpus) {
    machine_cpus_.store(cpus);
    if (cpus != 0) keep_loadavg_open();
  }

  // From now on this process keeps within what other users leave of the machine, which has `cpus`
  // CPUs; 0: it takes no notice of them. A finding if that cannot be.
  std::string share_with_users(int cpus);
  // Null while it takes no notice of other users.
  MachineShare* machine() const { return machine_.load(std::memory_order_relaxed); }

  // From now on this process gets at most `most`, whatever the ledger's budget is, and `part`
  // whenever it asks for it, whatever the others hold. Both end where somebody has chosen another
  // budget for all: it gets at most `hard` then.
  void bound(int part, int most, int hard = kMaxBudget) {
    part_.store(part, std::memory_order_relaxed);
    most_.store(most, std::memory_order_relaxed);
    hard_.store(hard, std::memory_order_relaxed);
  }

  // The most that it may get now.
  int bounded() const noexcept;

  // Read as often as the run queue.
  MaskWatch& mask() { return mask_; }

 private:
  Granter(const std::string& key, std::unique_ptr<Ledger> ledger);
  void ignore_users() noexcept;
  int most_now(int bound) noexcept;
  static Grant acquire(void* self, const GrantRequest& request) noexcept;
  static void release(void* self, const Grant& grant) noexcept;

  std::string key_;
  std::unique_ptr<Ledger> ledger_;
  Grants grants_;
  std::atomic<int> machine_cpus_{0};
  std::atomic<int> part_{1};
  std::atomic<int> most_{kMaxBudget};
  std::atomic<int> hard_{kMaxBudget};
  std::atomic<MachineShare*> machine_{nullptr};
  MaskWatch mask_;
  Neighbours neighbours_;
};

}  // namespace corewise::govern
