// The machine's CPUs among the users who share it (share = "machine"): what this user publishes of
// one of its ledgers, and what the others leave to it. docs/budget.md, "Other users on the
// machine".
#pragma once

#include <sys/types.h>

#include <atomic>
#include <cstdint>
#include <string>

#include "public_page.h"

namespace corewise {
class Json;
}

namespace corewise::govern {

// Never destroyed: a thread may be about to use it.
class MachineShare {
 public:
  // `ledger`: the path of a shared ledger. `cpus`: of the machine, whoever may use them. Null, with
  // a finding, if it cannot be: then this process shares nothing.
  static MachineShare* open(const std::string& directory, const std::string& ledger, int cpus,
                            std::string& finding);

  // Where this ledger publishes. read_others() may change it: sums that nobody used for long make
  // way for others.
  PublicSums& sums() { return *sums_.load(std::memory_order_relaxed); }

  // The most that the ledger may grant now. Reads what the others claim, now and then: it waits
  // for nobody, and the reading takes a hundredth of the time at most.
  int most(std::uint64_t now_ms) noexcept;

  struct UserPart {
    int cpus = 0;    // of the machine
    int share = 0;   // of them, ours
    int others = 0;  // users who ask too
  };
  UserPart standing(std::uint64_t now_ms) noexcept;

 private:
  MachineShare(std::string directory, const OwnPage& own, PublicSums& sums, int cpus);
  void read_others(std::uint64_t now_ms) noexcept;
  // So that leak checkers of the host still reach it when nobody uses it any more.
  void keep() noexcept;

  MachineShare* older_ = nullptr;
  std::string directory_;
  PublicPage& page_;
  uid_t user_;            // the page's, whoever the process becomes later
  std::uint64_t number_;  // of the ledger
  std::atomic<PublicSums*> sums_;
  int cpus_;
  std::atomic<std::uint64_t> due_ms_{0};
  std::atomic<int> share_;
  std::atomic<int> others_{0};
};

// As an object.
void write_part(Json& json, const MachineShare::UserPart& part);

// The machine's CPUs that a user would get who begins to ask now.
MachineShare::UserPart standing_of_newcomer(const std::string& directory, int cpus);

}  // namespace corewise::govern
