// The ledger within one process: grants, places, forks, the policy, what people see.
#include <doctest/doctest.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "govern/ledger/ledger.h"
#include "govern/ledger/ledger_identity.h"
#include "govern/ledger/ledger_protocol.h"
#include "ledger_fixture.h"

using namespace corewise::govern;
using corewise::test::in_child;
using corewise::test::LedgerFolder;

TEST_CASE("a lone region gets the whole budget, or what it wants of it") {
  const LedgerFolder folder;
  auto ledger = folder.open(8);
  CHECK(ledger->shared());
  CHECK(ledger->finding().empty());
  for (const int wanted : {8, 100, 3, 1}) {
    const Grant grant = ledger->acquire(wanted);
    CHECK(grant.threads == std::min(wanted, 8));
    ledger->release(grant);
  }
}

TEST_CASE("a newcomer takes what is free, and never less than one") {
  const LedgerFolder folder;
  auto ledger = folder.open(8);
  const Grant first = ledger->acquire(5);
  const Grant second = ledger->acquire(8);
  const Grant third = ledger->acquire(8);
  CHECK(first.threads == 5);
  CHECK(second.threads == 3);
  CHECK(third.threads == 1);
  ledger->release(first);
  // 8 less the 3 and the 1 that are out.
  const Grant fourth = ledger->acquire(8);
  CHECK(fourth.threads == 4);
  ledger->release(second);
  ledger->release(third);
  ledger->release(fourth);
  CHECK(folder.tokens(*ledger) == 0);
}

TEST_CASE("who has a part gets it, whatever the others hold, and what is free beside it") {
  const LedgerFolder folder;
  auto borrower = folder.open(8);
  auto lender = folder.open(8);
  const auto take = [](Ledger& from, int wanted) { return from.acquire(wanted, 8, false, 4); };
  const Grant all = take(*borrower, 8);
  CHECK(all.threads == 8);
  const Grant part = take(*lender, 8);
  CHECK(part.threads == 4);
  // It holds its part: another thread of it gets what is free.
  const Grant more = take(*lender, 8);
  CHECK(more.threads == 1);
  borrower->release(all);
  const Grant rest = take(*borrower, 8);
  CHECK(rest.threads == 4);
  const Grant less = lender->acquire(8, 2, false, 4);
  CHECK(less.threads == 1);
  for (const Grant& grant : {part, more, less}) lender->release(grant);
  borrower->release(rest);
  CHECK(lender->acquire(8, 2, false, 4).threads == 2);
}

TEST_CASE("nonsense wanted means one thread, and too much means the budget") {
  const LedgerFolder folder;
  auto ledger = folder.open(4);
  for (const int wanted : {0, -1, -2147483647 - 1}) {
    const Grant grant = ledger->acquire(wanted);
    CHECK(grant.threads == 1);
    ledger->release(grant);
  }
  const Grant grant = ledger->acquire(2147483647);
  CHECK(grant.threads == 4);
  ledger->release(grant);
}

TEST_CASE("a budget that cannot be kept is refused") {
  const LedgerFolder folder;
  for (const int budget : {0, -3, kMaxBudget + 1}) {
    const auto opened = Ledger::open(folder.options(budget));
    REQUIRE_FALSE(opened);
    CHECK(opened.error().status == CW_BAD_COUNT);
    CHECK(opened.error().what.find(std::to_string(budget)) != std::string::npos);
  }
  auto ledger = folder.open(4);
  CHECK(ledger->set_budget(0) == CW_BAD_COUNT);
  CHECK(ledger->budget() == 4);
}

TEST_CASE("the budget changes for all who share the ledger, and grants made stay") {
  const LedgerFolder folder;
  auto one = folder.open(8);
  auto other = folder.open(8);
  const Grant before = one->acquire(8);
  CHECK(other->set_budget(2) == CW_OK);
  CHECK(one->budget() == 2);
  CHECK(one->acquire(8).threads == 1);
  one->release(before);
  CHECK(other->acquire(8).threads == 1);
}

TEST_CASE("ledgers of different keys know nothing of each other") {
  const LedgerFolder folder;
  auto one = folder.open(4, "one");
  auto other = folder.open(4, "other");
  CHECK(one->path() != other->path());
  CHECK(one->acquire(4).threads == 4);
  CHECK(other->acquire(4).threads == 4);
}

TEST_CASE("two ledger objects of one process hold a place each") {
  const LedgerFolder folder;
  auto one = folder.open(4);
  auto other = folder.open(4);
  const Grant grant = one->acquire(3);
  CHECK(other->acquire(4).threads == 1);
  one.reset();
  CHECK(other->snapshot().entries.size() == 1);
  (void)grant;
}

TEST_CASE("the child of a fork has a place of its own and cannot return its parent's grants") {
  const LedgerFolder folder;
  auto ledger = folder.open(4);
  const Grant parents = ledger->acquire(3);
  REQUIRE(parents.threads == 3);
  CHECK(in_child([&] {
          ledger->release(parents);
          if (folder.tokens(*ledger) != 3) return 1;
          const Grant own = ledger->acquire(4);
          if (own.threads != 1 || folder.tokens(*ledger) != 4) return 2;
          ledger->release(parents);
          if (folder.tokens(*ledger) != 4) return 3;
          ledger->release(own);
          if (folder.tokens(*ledger) != 3) return 4;
          return ledger->snapshot().entries.size() == 2 ? 0 : 5;
        }) == 0);
  CHECK(folder.tokens(*ledger) == 3);
  ledger->release(parents);
  CHECK(folder.tokens(*ledger) == 0);
}

TEST_CASE("what a killed process held is free again within the time between two reapings") {
  const LedgerFolder folder;
  auto ledger = folder.open(4);
  const pid_t pid = fork();
  if (pid == 0) {
    ledger->acquire(4);
    kill(getpid(), SIGKILL);
  }
  SUBCASE("while its parent has not waited for it") {
    siginfo_t info;
    waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOWAIT);
    usleep(60'000);
    const Grant grant = ledger->acquire(4);
    CHECK(grant.threads == 4);
    waitpid(pid, nullptr, 0);
  }
  SUBCASE("after") {
    waitpid(pid, nullptr, 0);
    usleep(60'000);
    CHECK(ledger->acquire(4).threads == 4);
  }
}

TEST_CASE("a process that runs another program gives its tokens back") {
  const LedgerFolder folder;
  auto ledger = folder.open(4);
  bool given_back = false;
  // One exec of 255 draws the same image again, and keeps them (docs/ledger.md).
  for (int tries = 0; tries < 3 && !given_back; ++tries) {
    std::array<int, 2> pipe_ends{};
    REQUIRE(pipe(pipe_ends.data()) == 0);
    const pid_t pid = fork();
    if (pid == 0) {
      ledger->acquire(4);
      dup2(pipe_ends[1], 1);
      execl("/bin/sh", "sh", "-c", "echo; exec sleep 30", nullptr);
      _exit(1);
    }
    char ready = 0;
    REQUIRE(read(pipe_ends[0], &ready, 1) == 1);
    usleep(100'000);
    const Grant grant = ledger->acquire(4);
    given_back = grant.threads == 4;
    ledger->release(grant);
    kill(pid, SIGKILL);
    waitpid(pid, nullptr, 0);
    close(pipe_ends[0]);
    close(pipe_ends[1]);
  }
  CHECK(given_back);
}

TEST_CASE("a live process is never taken for a dead one") {
  CHECK(life_of(pack(own_identity()), true) == Life::runs);
  Identity earlier = own_identity();
  REQUIRE(earlier.start != 0);
  REQUIRE(earlier.image != 0);
  earlier.start = earlier.start == 1 ? 2 : 1;
  CHECK(life_of(pack(earlier), true) == Life::gone);
  CHECK(life_of(pack(earlier), false) == Life::runs);
  // Whoever could read its own /proc has written a start time, so this word is nobody's.
  earlier.start = 0;
  CHECK(life_of(pack(earlier), true) == Life::gone);
  CHECK(life_of(pack(earlier), false) == Life::runs);
}

TEST_CASE(
    "in a pid namespace without a /proc of its own, no living process is taken for a dead one") {
  // Process 1 of the namespace; the /proc that its child sees has another process under that pid.
  const auto first = [] {
    const Word word = pack(own_identity()) | 2;
    if (identity(word).pid != 1) return 1;
    return in_child([&] {
      if (life_of(word, true) != Life::runs) return 2;
      return belongs_to(word, ::geteuid() + 1) ? 0 : 3;
    });
  };
  CHECK(in_child([&] {
          if (::unshare(CLONE_NEWPID) != 0) return 0;  // not allowed in every container
          return in_child(first);
        }) == 0);
}

TEST_CASE("a child in another time namespace takes no part") {
  constexpr int kNewTime = 0x80;  // CLONE_NEWTIME, which some systems' headers lack
  const LedgerFolder folder;
  const auto ledger = folder.open(4);
  CHECK(in_child([&] {
          if (::unshare(kNewTime) != 0) return 0;
          return in_child([&] {
            const Grant grant = ledger->acquire(4);
            return grant.threads == 1 && grant.claim == 0 ? 0 : 1;
          });
        }) == 0);
}

TEST_CASE("a call leaves errno alone where /proc is not to be seen") {
  const LedgerFolder folder;
  const auto ledger = folder.open(4);
  CHECK(in_child([&] {
          if (::chroot(folder.path().c_str()) != 0) return 0;
          errno = 0;
          ledger->release(ledger->acquire(4));
          return errno;
        }) == 0);
}

TEST_CASE("a process in a frozen cgroup is stopped, for as long") {
  std::string mounted = "/tmp/corewise-cgroup-XXXXXX";
  REQUIRE(::mkdtemp(mounted.data()) != nullptr);
  if (::mount("none", mounted.c_str(), "cgroup2", 0, nullptr) != 0) {
    ::rmdir(mounted.c_str());
    MESSAGE("skipped: cgroup2 cannot be mounted here");
    return;
  }
  const std::string group = mounted + "/corewise-test-" + std::to_string(::getpid());
  const auto write_to = [&](const char* file, int value) { std::ofstream(group + file) << value; };
  REQUIRE(::mkdir(group.c_str(), 0700) == 0);
  const pid_t child = ::fork();
  if (child == 0) {
    for (;;) ::pause();
  }
  write_to("/cgroup.procs", child);
  std::ifstream file("/proc/" + std::to_string(child) + "/stat");
  const Word word =
      pack(parse_stat(std::string(std::istreambuf_iterator<char>(file), {})).identity) | 2;
  const auto becomes = [&](Life life) {
    for (int i = 0; i < 1000 && life_of(word, true) != life; ++i) ::usleep(10'000);
    return life_of(word, true) == life;
  };
  CHECK(life_of(word, true) == Life::runs);
  write_to("/cgroup.freeze", 1);
  CHECK(becomes(Life::stopped));
  CHECK(life_of(word, false) == Life::runs);
  write_to("/cgroup.freeze", 0);
  CHECK(becomes(Life::runs));
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  ::rmdir(group.c_str());
  ::umount(mounted.c_str());
  ::rmdir(mounted.c_str());
}

TEST_CASE("a process whose first thread ended lives on in the others") {
  const LedgerFolder folder;
  auto ledger = folder.open(4);
  std::array<int, 2> pipe_ends{};
  REQUIRE(pipe(pipe_ends.data()) == 0);
  const pid_t pid = fork();
  if (pid == 0) {
    std::thread([&] {
      ledger->acquire(4);
      usleep(80'000);
      if (write(pipe_ends[1], "x", 1) != 1) _exit(1);
      for (;;) pause();
    }).detach();
    syscall(SYS_exit, 0);
  }
  char ready = 0;
  REQUIRE(read(pipe_ends[0], &ready, 1) == 1);
  CHECK(ledger->acquire(4).threads == 1);
  kill(pid, SIGKILL);
  waitpid(pid, nullptr, 0);
  usleep(80'000);
  CHECK(ledger->acquire(4).threads == 3);
  close(pipe_ends[0]);
  close(pipe_ends[1]);
}

TEST_CASE("stat lines are read whatever the program is called") {
  const std::string tail = " R 1 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 3 0 777 0 0 0 111 222 333 0 0 0\n";
  const ProcessStat plain = parse_stat("42 (python)" + tail);
  CHECK(plain.identity.pid == 42);
  CHECK(plain.identity.start == 778);
  CHECK(plain.identity.image != 0);
  CHECK_FALSE(plain.ended);
  const ProcessStat odd = parse_stat("42 (a) Z 1 (b)" + tail);
  CHECK(pack(odd.identity) == pack(plain.identity));
  CHECK_FALSE(odd.ended);
  for (const char* broken : {"", "42", "42 (x", "42 (x) R", "()", ")", "42 (x) R 1 1 1 0 -1"}) {
    CHECK(parse_stat(broken).identity.pid == 0);
  }
}

TEST_CASE("a stopped process and a word of nobody's lose their tokens, at the next short region") {
  const pid_t child = ::fork();
  if (child == 0) {
    for (;;) ::pause();
  }
  const auto shared = std::make_unique<Shared>();
  struct World {
    static void step() {}
    static Life life(Word word, bool closely) { return life_of(word, closely); }
    std::uint64_t now = 1000;
    std::uint64_t now_ms() const { return now; }
  } world;
  Protocol<World> table(*shared, world);
  shared->budget.store(4);
  const Claim mine = table.claim(pack(own_identity()));
  REQUIRE(mine != 0);
  ProcessStat stat;
  stat.identity = own_identity();
  const auto read = [&] {
    std::ifstream file("/proc/" + std::to_string(child) + "/stat");
    stat = parse_stat(std::string(std::istreambuf_iterator<char>(file), {}));
    return stat;
  };
  const Claim theirs = table.claim(pack(read().identity));
  REQUIRE(theirs != 0);
  CHECK(table.take(theirs, 3) == 3);
  world.now += 100;
  CHECK(table.take(mine, 4) == 1);
  table.give_back(mine, 1);

  ::kill(child, SIGSTOP);
  ::waitpid(child, nullptr, WUNTRACED);
  CHECK(read().stopped);
  CHECK(table.take(mine, 4) == 1);  // the last reaping is too recent
  table.give_back(mine, 1);
  world.now += 100;
  CHECK(table.take(mine, 4) == 4);
  table.give_back(mine, 4);
  ::kill(child, SIGCONT);
  table.give_back(theirs, 3);  // the region that it was in
  CHECK(table.total() == 0);
  CHECK(table.take(theirs, 3) == 3);
  table.give_back(theirs, 3);
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);

  // A stray write that names a living process.
  Identity stray = own_identity();
  stray.pid = static_cast<std::uint32_t>(::getppid());
  stray.start = 0;
  stray.image = 0;
  shared->words[2].store(pack(stray) | 3);
  shared->used.store(shared->used.load() + 1);
  world.now += 100;
  CHECK(table.take(mine, 4) == 4);
}

TEST_CASE("recent callers share the budget for two epochs") {
  RecentCallers recent{};
  const RecentCallersPolicy policy;
  Caller a;
  Caller b;
  CHECK(recent.enter(a, 1000, policy) == 1);
  CHECK(recent.enter(a, 1001, policy) == 1);
  CHECK(recent.enter(b, 1002, policy) == 2);
  CHECK(recent.enter(a, 1026, policy) == 2);
  CHECK(recent.enter(a, 1051, policy) == 1);
  CHECK(policy.share(8, 2) == 4);
  CHECK(policy.share(2, 5) == 1);
}

TEST_CASE("threads that take turns get their share each") {
  const LedgerFolder folder;
  LedgerOptions options = folder.options(8);
  options.recent = {.enabled = true, .epoch_ms = 60'000};
  auto ledger = std::move(*Ledger::open(options));
  const Grant before = ledger->acquire(8);
  CHECK(before.threads == 8);
  ledger->release(before);
  std::thread([&] { ledger->release(ledger->acquire(8)); }).join();
  const Grant after = ledger->acquire(8);
  CHECK(after.threads == 4);
  ledger->release(after);
}

TEST_CASE("threads of one process together stay within the budget") {
  const LedgerFolder folder;
  auto ledger = folder.open(6);
  std::atomic<int> out{0};
  std::atomic<int> worst{0};
  std::vector<std::thread> threads;
  constexpr int kThreads = 4;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 20'000; ++i) {
        const Grant grant = ledger->acquire(1 + (i + t) % 6);
        const int now = out.fetch_add(grant.threads) + grant.threads;
        int seen = worst.load();
        while (seen < now && !worst.compare_exchange_weak(seen, now)) {
        }
        out.fetch_sub(grant.threads);
        ledger->release(grant);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(worst.load() <= 6 + kThreads - 1);
  CHECK(folder.tokens(*ledger) == 0);
}

TEST_CASE("who is inside with less than it wanted is a caller, however long ago it asked") {
  const LedgerFolder folder;
  LedgerOptions options = folder.options(8);
  options.recent = {.enabled = true, .epoch_ms = 1};
  auto opened = Ledger::open(options), second = Ledger::open(options);
  REQUIRE((opened && second));
  const auto& one = *opened;
  const auto& other = *second;
  const auto forgotten = [] { std::this_thread::sleep_for(std::chrono::milliseconds(5)); };
  const Grant all = one->acquire(8);
  CHECK(all.threads == 8);
  const Grant least = other->acquire(8);
  CHECK(least.threads == 1);
  one->release(all);
  forgotten();
  const Grant half = one->acquire(8);
  CHECK(half.threads == 4);
  other->release(least);
  one->release(half);
  forgotten();
  const Grant content = other->acquire(2);
  CHECK(content.threads == 2);
  forgotten();
  const Grant rest = one->acquire(8);
  CHECK(rest.threads == 6);
  one->release(rest);
  other->release(content);
  forgotten();
  const Grant again = one->acquire(8);
  CHECK(again.threads == 8);
  one->release(again);
}

TEST_CASE("when every place is taken a region still gets one thread") {
  const LedgerFolder folder;
  std::vector<std::unique_ptr<Ledger>> all;
  for (std::uint32_t i = 0; i < kPlaces; ++i) {
    all.push_back(folder.open(1000));
    all.back()->release(all.back()->acquire(1));
  }
  auto late = folder.open(1000);
  const Grant grant = late->acquire(8);
  CHECK(grant.threads == 1);
  late->release(grant);
  all.clear();
  CHECK(folder.open(1000)->acquire(8).threads == 8);
}

TEST_CASE("people see who holds what") {
  const LedgerFolder folder;
  auto ledger = folder.open(4, "cgroup /a/b");
  const Grant one = ledger->acquire(3);
  const Grant two = ledger->acquire(3);
  const auto seen = read_ledgers(folder.path());
  REQUIRE(seen.size() == 1);
  CHECK(seen[0].path == ledger->path());
  CHECK(seen[0].key.starts_with("cgroup /a/b"));
  CHECK(seen[0].budget == 4);
  REQUIRE(seen[0].entries.size() == 1);
  CHECK(seen[0].entries[0].pid == static_cast<std::uint32_t>(getpid()));
  CHECK(seen[0].entries[0].tokens == 4);
  ledger->release(one);
  ledger->release(two);
}

TEST_CASE("recent callers: a heavy one counts more, and what nobody asks for is not divided") {
  RecentCallers recent{};
  const RecentCallersPolicy policy;
  Caller heavy;
  Caller light;
  CHECK(recent.enter(heavy, 1000, policy, 40) == 40);
  CHECK(policy.share(10, 40, 40) == 10);
  CHECK(recent.enter(light, 1001, policy, 10) == 50);
  CHECK(policy.share(10, 50, 40) == 8);
  CHECK(policy.share(10, 50, 10) == 2);
  CHECK(policy.share(2, 50, 10) == 1);                            // never none
  CHECK(policy.share(kMaxBudget, 1, kMostWeight) == kMaxBudget);  // what a stranger wrote
  for (int i = 0; i < 2000; ++i) {
    Caller many;
    recent.enter(many, 1002, policy, kMostWeight);
  }
  CHECK(recent.callers_now(1003, policy) == 0xffff);  // it stays below its neighbour, the epoch
  CHECK(recent.enter(light, 1100, policy, 10) == 10);
}

TEST_CASE("who is heavier gets more of what both want, and all where the other is content") {
  const LedgerFolder folder;
  LedgerOptions options = folder.options(10);
  options.recent = {.enabled = true, .epoch_ms = 60'000};
  auto notebook = std::move(*Ledger::open(options));
  auto batch = std::move(*Ledger::open(options));
  notebook->set_weight(40);
  batch->set_weight(10);
  const auto give = [](Ledger& to, const Grant& grant) { to.release(grant); };
  give(*batch, batch->acquire(10));
  std::thread([&] {
    const Grant heavy = notebook->acquire(10);
    CHECK(heavy.threads == 8);
    give(*notebook, heavy);
  }).join();
  const Grant light = batch->acquire(10);
  CHECK(light.threads == 2);
  give(*batch, light);
}

TEST_CASE("long calls: the hungry count by their weight, whatever a stranger wrote there") {
  const LedgerFolder folder;
  LedgerOptions options = folder.options(10);
  options.recent = {.enabled = true, .epoch_ms = 1};
  auto notebook = std::move(*Ledger::open(options));
  auto batch = std::move(*Ledger::open(options));
  notebook->set_weight(40);
  const auto forgotten = [] { std::this_thread::sleep_for(std::chrono::milliseconds(5)); };
  const Grant all = batch->acquire(10);
  CHECK(all.threads == 10);
  const Grant least = notebook->acquire(10);
  CHECK(least.threads == 1);  // hungry, with a weight of 40
  batch->release(all);
  forgotten();
  const Grant rest = batch->acquire(10);
  CHECK(rest.threads == 2);
  batch->release(rest);
  notebook->set_weight(1 << 20);
  forgotten();
  const Grant again = batch->acquire(10);
  CHECK(again.threads == 1);  // 10 of 110, clamped
  batch->release(again);
  notebook->release(least);
}
