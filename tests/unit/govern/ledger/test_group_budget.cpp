// A group's budget, changed while its programs run.
#include <doctest/doctest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <filesystem>
#include <fstream>
#include <functional>
#include <string>

#include "govern/grants/granter.h"
#include "govern/ledger/group_budget.h"
#include "govern/ledger/ledger_holders.h"
#include "govern/ledger/ledger_shm.h"
#include "ledger_fixture.h"

using namespace corewise;
using namespace corewise::govern;
using corewise::test::LedgerFolder;

namespace {

// A program in the group "test" of the folder: opens the ledger, then answers each byte with the
// grant that it gets.
class Member {
 public:
  Member(const LedgerFolder& folder, int budget) {
    REQUIRE(::pipe(ask_.data()) == 0);
    REQUIRE(::pipe(told_.data()) == 0);
    pid_ = ::fork();
    if (pid_ == 0) {
      ::close(ask_[1]);
      const auto ledger = folder.open(budget);
      char byte = 0;
      do {
        const Grant grant = ledger->acquire(16);
        const char got = static_cast<char>(grant.threads);
        ledger->release(grant);
        if (::write(told_[1], &got, 1) != 1) ::_exit(1);
      } while (::read(ask_[0], &byte, 1) == 1);
      ::_exit(0);
    }
    ::close(ask_[0]);
    first_ = answer();
  }
  Member(const Member&) = delete;
  Member& operator=(const Member&) = delete;
  ~Member() {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
    for (const int fd : {ask_[1], told_[0], told_[1]}) ::close(fd);
  }

  int pid() const { return pid_; }
  int first() const { return first_; }
  int grant() {
    REQUIRE(::write(ask_[1], "x", 1) == 1);
    return answer();
  }

 private:
  int answer() {
    char got = 0;
    REQUIRE(::read(told_[0], &got, 1) == 1);
    return got;
  }

  std::array<int, 2> ask_{}, told_{};
  int pid_ = 0, first_ = 0;
};

std::optional<BudgetGroup> choose(const LedgerFolder& folder, int budget) {
  auto group = choose_group_budget("test", budget, folder.path());
  REQUIRE(group);
  return *group;
}

}  // namespace

TEST_CASE("group budget: all members follow at once, up and down, and go back") {
  const LedgerFolder folder;
  Member one(folder, 2);
  Member other(folder, 2);
  CHECK(one.first() == 2);
  for (const int budget : {8, 1, 5}) {
    REQUIRE(choose(folder, budget));
    CHECK(one.grant() == budget);
    CHECK(other.grant() == budget);
  }
  const auto before = choose(folder, 0);
  REQUIRE(before);
  CHECK(before->budget == 5);
  CHECK(before->chosen);
  CHECK(one.grant() == 2);
  CHECK_FALSE(choose(folder, 4)->chosen);
}

TEST_CASE("group budget: who joins follows too, and brings nobody back to its own") {
  const LedgerFolder folder;
  Member one(folder, 2);
  REQUIRE(choose(folder, 6));
  {
    const Member late(folder, 3);
    CHECK(late.first() == 6);
  }
  CHECK(one.grant() == 6);
  const auto group = find_group("test", folder.path());
  REQUIRE(group);
  REQUIRE(*group);
  CHECK((*group)->budget == 6);
  REQUIRE((*group)->members.size() == 1);
  CHECK((*group)->members[0].pid == one.pid());
}

TEST_CASE("group budget: the choice ends with the last member, not with the first") {
  const LedgerFolder folder;
  {
    auto one = std::make_unique<Member>(folder, 2);
    REQUIRE(choose(folder, 6));
    ::usleep(30000);  // later than the choice, by the clock of /proc
    Member late(folder, 2);
    one.reset();
    ::usleep(30000);
    const Member later(folder, 2);
    CHECK(later.first() == 6);
  }
  ::usleep(30000);
  // Both begin when nobody is left, each while the other is there.
  const Member next(folder, 2);
  CHECK(next.first() == 2);
}

TEST_CASE("group budget: a group that nobody is in") {
  const LedgerFolder folder;
  CHECK_FALSE(choose(folder, 4));
  CHECK_FALSE(choose(folder, 0));
  {
    const Member ended(folder, 2);
  }
  CHECK_FALSE(choose(folder, 4));
  const auto found = find_group("test", folder.path());
  REQUIRE(found);
  CHECK_FALSE(*found);
}

TEST_CASE("group budget: a file that is not ours is left alone") {
  const LedgerFolder folder;
  const std::string path = folder.open(2)->path();
  const auto refused = [&](const char* why) {
    const auto group = choose_group_budget("test", 4, folder.path());
    REQUIRE_FALSE(group);
    CHECK(group.error().status == CW_NOT_PERMITTED);
    CHECK(group.error().what.find(path) != std::string::npos);
    CHECK(group.error().what.find(why) != std::string::npos);
  };
  REQUIRE(::chmod(path.c_str(), 0644) == 0);
  refused("can be opened by others");
  std::filesystem::remove(path);
  std::filesystem::create_symlink("/etc/passwd", path);
  refused("is a symbolic link");
  std::filesystem::remove(path);
  std::ofstream(path) << "not ours";
  REQUIRE(::chmod(path.c_str(), 0600) == 0);
  refused("has the wrong size");
}

TEST_CASE("group budget: a damaged choice is clamped") {
  const LedgerFolder folder;
  Member one(folder, 2);
  REQUIRE(choose(folder, 1 << 30));
  CHECK(one.grant() == 16);
}

TEST_CASE("granter: a choice for the group lifts its own bound, not the machine's") {
  const std::string key = "test-group-" + std::to_string(::getpid());
  // A granter is never destroyed, and a leak checker must find it.
  static Granter* kept = nullptr;
  auto made = Granter::open(key, 2);
  REQUIRE(made);
  kept = *made;
  kept->share_machine(0);
  kept->bound(2, 2, 3);
  const auto ask = [] {
    const Grants& grants = *kept->grants();
    const Grant grant = grants.acquire(grants.self, {.wanted = 16});
    grants.release(grants.self, grant);
    return grant.threads;
  };
  CHECK(ask() == 2);
  // Somebody else must be in the group: the chooser does not count itself.
  const pid_t child = ::fork();
  if (child == 0) {
    for (;;) ::pause();
  }
  REQUIRE(*choose_group_budget(key, 8));
  CHECK(ask() == 3);
  CHECK(kept->bounded() == 3);
  REQUIRE(*choose_group_budget(key, 1));
  CHECK(ask() == 1);  // also below its part
  REQUIRE(*choose_group_budget(key, 0));
  CHECK(ask() == 2);
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  ::unlink(kept->ledger().path().c_str());
}

TEST_CASE("a choice stays where the processes cannot be listed") {
  const LedgerFolder folder;
  const Member member(folder, 4);
  REQUIRE(choose(folder, 2));
  CHECK(corewise::test::in_child([&] {
          std::string why;
          const std::string path = ledger_path(folder.path(), "test");
          Shared* const shared = map_existing(path, "test", why);
          const rlimit none{0, 0};
          if (shared == nullptr || ::setrlimit(RLIMIT_NOFILE, &none) != 0) return 1;
          join_group(*shared, path);
          return shared->chosen.load() == 2 ? 0 : 2;
        }) == 0);
}
