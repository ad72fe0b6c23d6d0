// Users who share a machine, each with a ledger: what they are granted together.
#include <doctest/doctest.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <string>

#include "base/clock.h"
#include "govern/ledger/ledger.h"
#include "govern/ledger/ledger_identity.h"
#include "govern/machine/machine_share.h"
#include "ledger_fixture.h"

using namespace corewise;
using namespace corewise::govern;
using corewise::test::in_child;
using corewise::test::LedgerFolder;

namespace {

constexpr int kCpus = 8;
const auto only_root = doctest::skip(geteuid() != 0);

// As a granter does.
struct Program {
  explicit Program(const LedgerFolder& folder, const std::string& key = "test")
      : ledger(folder.open(kCpus, key)),
        share(MachineShare::open(folder.path(), ledger->path(), kCpus, finding)) {
    if (share != nullptr) ledger->publish_in(&share->sums());
  }
  Grant acquire(int wanted = kCpus) {
    ledger->keep_within(share->most(now_ms()));
    ledger->publish_in(&share->sums());
    return ledger->acquire(wanted);
  }
  // What it is granted once it has looked at the others anew.
  int after_a_look(int wanted = kCpus) {
    usleep(60'000);
    const Grant grant = acquire(wanted);
    ledger->release(grant);
    return grant.threads;
  }

  std::string finding;
  std::unique_ptr<Ledger> ledger;
  MachineShare* share;
};

// Another user, who begins a region of `wanted` threads, and ends it by being killed.
class OtherUser {
 public:
  OtherUser(const LedgerFolder& folder, uid_t user, int wanted) {
    int ends[2];
    REQUIRE(pipe(ends) == 0);
    pid_ = fork();
    if (pid_ == 0) {
      if (setgid(user) != 0 || setuid(user) != 0) _exit(1);
      Program program(folder);
      if (program.share == nullptr) _exit(2);
      const int threads = program.acquire(wanted).threads;
      if (write(ends[1], &threads, sizeof threads) != sizeof threads) _exit(3);
      for (;;) pause();
    }
    close(ends[1]);
    REQUIRE(read(ends[0], &granted, sizeof granted) == sizeof granted);
    close(ends[0]);
  }
  OtherUser(const OtherUser&) = delete;
  OtherUser& operator=(const OtherUser&) = delete;
  ~OtherUser() { end(); }
  void send(int signal) const { kill(pid_, signal); }
  void end() {
    if (pid_ <= 0) return;
    send(SIGKILL);
    waitpid(pid_, nullptr, 0);
    pid_ = 0;
  }
  int granted = 0;

 private:
  pid_t pid_ = 0;
};

}  // namespace

TEST_CASE("alone a user has the machine" * only_root) {
  const LedgerFolder folder;
  Program program(folder);
  REQUIRE_MESSAGE(program.share != nullptr, program.finding);
  CHECK(program.after_a_look() == kCpus);
  const auto standing = program.share->standing(now_ms());
  CHECK(standing.share == kCpus);
  CHECK(standing.others == 0);
}

TEST_CASE("two users stay within the machine, and each has it back when the other ends" *
          only_root) {
  const LedgerFolder folder;
  REQUIRE(chmod(folder.path().c_str(), 01777) == 0);
  Program program(folder);
  CHECK(program.after_a_look() == kCpus);
  OtherUser other(folder, 12345, kCpus);
  CHECK(other.granted == kCpus / 2);  // this user asked a moment ago
  CHECK(program.after_a_look() == kCpus / 2);
  // The other's region goes on, far longer than what it asked counts.
  usleep(3 * kAskedMs * 1000);
  CHECK(program.after_a_look() == kCpus / 2);
  CHECK(program.share->standing(now_ms()).others == 1);
  SUBCASE("killed") { other.end(); }
  SUBCASE("stopped") { other.send(SIGSTOP); }
  usleep(3 * kAskedMs * 1000);
  CHECK(program.after_a_look() == kCpus);
}

TEST_CASE("what another user does not want is free, and three divide" * only_root) {
  const LedgerFolder folder;
  REQUIRE(chmod(folder.path().c_str(), 01777) == 0);
  Program program(folder);
  const OtherUser modest(folder, 12345, 2);
  CHECK(modest.granted == 2);
  CHECK(program.after_a_look() == kCpus - 2);
  const OtherUser greedy(folder, 12346, kCpus);
  CHECK(greedy.granted == 3);
  CHECK(program.after_a_look() == 3);
}

TEST_CASE("a user's own ledgers divide what is the user's" * only_root) {
  const LedgerFolder folder;
  Program one(folder, "one");
  Program two(folder, "two");
  CHECK(one.after_a_look() == kCpus);
  const Grant held = two.acquire();
  CHECK(held.threads == kCpus / 2);
  CHECK(one.after_a_look() == kCpus / 2);
  two.ledger->release(held);
  usleep(3 * kAskedMs * 1000);
  CHECK(one.after_a_look() == kCpus);
}

TEST_CASE("nothing is published when the last region has ended" * only_root) {
  const LedgerFolder folder;
  Program program(folder);
  const Grant outer = program.acquire(5);
  const Grant inner = program.acquire(2);
  CHECK(tokens(program.share->sums().held.load()) == 7);
  program.ledger->release(outer);
  CHECK(tokens(program.share->sums().held.load()) == 2);
  program.ledger->release(inner);
  CHECK(tokens(program.share->sums().held.load()) == 0);
  CHECK(claimed(program.share->sums(), geteuid(), now_ms() + 3 * kAskedMs) == 0);
}

TEST_CASE("a ledger whose place went to another one publishes no more" * only_root) {
  const LedgerFolder folder;
  Program program(folder);
  PublicSums& sums = program.share->sums();
  sums.ledger.store(4711);
  program.ledger->release(program.acquire(5));
  CHECK(sums.held.load() == 0);
}

TEST_CASE("and takes another place when it next looks, since it asks again" * only_root) {
  const LedgerFolder folder;
  Program program(folder);
  PublicSums& lost = program.share->sums();
  lost.ledger.store(4711);
  lost.held.store(named_in(pack(own_identity())) | kCpus);
  CHECK(program.after_a_look() == kCpus / 2);
  CHECK(&program.share->sums() != &lost);
  const Grant grant = program.acquire(3);
  CHECK(tokens(program.share->sums().held.load()) == 3);
  program.ledger->release(grant);
  CHECK(tokens(lost.held.load()) == kCpus);
}

TEST_CASE("a process that becomes another user's does not divide the machine with itself" *
          only_root) {
  const LedgerFolder folder;
  REQUIRE(chmod(folder.path().c_str(), 01777) == 0);
  CHECK(in_child([&] {
          Program program(folder);
          const Grant held = program.acquire(2);
          if (setgid(12345) != 0 || setuid(12345) != 0) return 1;
          note_asked(program.share->sums(), kCpus, now_ms());
          const auto standing = program.share->standing(now_ms());
          program.ledger->release(held);
          return standing.others == 0 && standing.share == kCpus ? 0 : 2;
        }) == 0);
}
