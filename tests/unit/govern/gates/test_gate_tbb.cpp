// The gate of oneTBB over a runtime made here: this program asks for permits as oneTBB does,
// through the functions of libtcm.so.1.
#include <dlfcn.h>
#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <functional>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "govern/gates/gate_tbb.h"
#include "govern/gates/tbb_permits.h"
#include "grant_table.h"
#include "os/os.h"
#include "tcm/tcm.h"

using namespace corewise;
using namespace corewise::govern;
using test::GrantTable;

namespace {

constexpr std::uint32_t kPool = 7;
constexpr std::uint32_t kAsInactive = 1U << 3U;

// libtcm.so.1 beside this program, found as oneTBB finds it: loaded already.
template <class Function>
Function* tcm(const char* name) {
  void* const library = ::dlopen(COREWISE_TCM, RTLD_NOW | RTLD_NOLOAD);
  REQUIRE(library != nullptr);
  void* const found = ::dlsym(library, name);
  REQUIRE(found != nullptr);
  return reinterpret_cast<Function*>(found);
}

// What oneTBB does there: it reads the permit, and counts.
std::int32_t told(cw_tcm_permit* permit, void* argument, std::uint32_t changed);

bool connect(std::uint64_t& client) {
  using Connect = std::int32_t(cw_tcm_callback*, std::uint64_t*);
  return tcm<Connect>("tcmConnect")(told, &client) == 0;
}

// This program is the copy that asks.
void expect_this_program() {
  os::Generation at;
  const std::vector<os::LoadedModule> all = os::loaded_modules(at);
  const auto here = reinterpret_cast<std::uintptr_t>(&expect_this_program);
  const auto own = std::ranges::find_if(
      all, [&](const os::LoadedModule& module) { return module.contains(here); });
  REQUIRE(own != all.end());
  tbb::expect(*own, kPool);
}

std::uint64_t client() {
  static const bool offered = [] {
    ::unsetenv("TCM_ENABLE");
    tbb::offer_permits();
    tbb::renew_by_itself(false);
    return true;
  }();
  static_cast<void>(offered);
  expect_this_program();
  std::uint64_t number = 0;
  REQUIRE(connect(number));
  return number;
}

struct Asked {
  int least = 0;
  int most = 0;
  std::int32_t priority = 0;
  std::uint32_t flags = 0;
  std::vector<cw_tcm_constraint> constraints = {};
};

// An arena of a scheduler, with its permit.
class Arena {
 public:
  Arena() = default;
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;
  ~Arena() {
    if (permit_ != nullptr) tcm<std::int32_t(cw_tcm_permit*)>("tcmReleasePermit")(permit_);
  }

  // Its workers now; 0: it is inactive.
  int ask(int most, std::uint32_t flags = 0) { return ask(Asked{.most = most, .flags = flags}); }
  int ask(const Asked& asked) {
    const cw_tcm_request request{asked.least,
                                 asked.most,
                                 asked.constraints.data(),
                                 static_cast<std::uint32_t>(asked.constraints.size()),
                                 asked.priority,
                                 asked.flags,
                                 {}};
    using Ask =
        std::int32_t(std::uint64_t, cw_tcm_request, void*, cw_tcm_permit**, cw_tcm_granted*);
    REQUIRE(tcm<Ask>("tcmRequestPermit")(client_, request, this, &permit_, nullptr) == 0);
    return workers();
  }
  int workers() const {
    std::uint32_t threads = 99;
    cw_tcm_granted granted{&threads, nullptr, 1, 0, 0};
    using Read = std::int32_t(cw_tcm_permit*, cw_tcm_granted*);
    REQUIRE(tcm<Read>("tcmGetPermitData")(permit_, &granted) == 0);
    CHECK((granted.state == 4) == (threads > 0));
    return static_cast<int>(threads);
  }
  void deactivate() { tcm<std::int32_t(cw_tcm_permit*)>("tcmDeactivatePermit")(permit_); }

  // What it learnt by callbacks.
  std::vector<int> told;

 private:
  std::uint64_t client_ = client();
  cw_tcm_permit* permit_ = nullptr;
};

std::int32_t told(cw_tcm_permit*, void* argument, std::uint32_t changed) {
  auto& arena = *static_cast<Arena*>(argument);
  CHECK(changed == 1);
  arena.told.push_back(arena.workers());
  return 0;
}

std::vector<int> learnt(Arena& arena) { return std::exchange(arena.told, {}); }

void join() { tcm<std::int32_t(cw_tcm_permit*)>("tcmRegisterThread")(nullptr); }
void part() { tcm<std::int32_t()>("tcmUnregisterThread")(); }

}  // namespace

TEST_CASE("oneTBB's gate: a copy that is expected connects while the gate is open") {
  {
    const GrantTable table(4);
    client();
  }
  CHECK(tbb::asks(kPool));
  CHECK_FALSE(tbb::asks(kPool + 1));
  std::uint64_t number = 0;
  CHECK_FALSE(connect(number));
}

TEST_CASE("oneTBB's gate: an arena gets its workers from the grant, and gives it back") {
  GrantTable table(3);
  {
    Arena arena;
    CHECK(arena.ask(7) == 2);
    CHECK(table.open == 1);
    CHECK(table.free == 0);
    arena.deactivate();
    CHECK(arena.workers() == 0);
    CHECK(table.open == 0);
    CHECK(arena.ask(1) == 1);
    CHECK(table.free == 1);
    CHECK(arena.ask(0) == 0);
    CHECK(table.open == 0);
    CHECK(arena.ask(2, kAsInactive) == 0);
    CHECK(table.open == 0);
    CHECK(arena.ask(7) == 2);
  }
  CHECK(table.open == 0);
  CHECK(table.free == 3);
}

TEST_CASE("oneTBB's gate: an arena that asks anew gives back what it held") {
  GrantTable table(4);
  Arena arena;
  CHECK(arena.ask(7) == 3);
  CHECK(arena.ask(1) == 1);
  CHECK(table.open == 1);
  CHECK(table.free == 2);
}

TEST_CASE("oneTBB's gate: an arena has a worker, however little is free") {
  GrantTable table(1);
  Arena arena;
  CHECK(arena.ask(7) == 1);
}

TEST_CASE("oneTBB's gate: an arena in another runtime's region has one worker, and asks nobody") {
  GrantTable table(8);
  Arena arena;
  {
    const gate::TeamMember member(4);
    CHECK(arena.ask(3) == 1);
    CHECK(table.open == 0);
  }
  CHECK(arena.ask(3) == 3);
  // Asked for again from inside, it keeps nothing of what it had.
  const gate::TeamMember member(4);
  CHECK(arena.ask(3) == 1);
  CHECK(table.open == 0);
}

TEST_CASE("oneTBB's gate: a thread of an arena is inside, and its arena is not inside itself") {
  GrantTable table(8);
  Arena arena;
  join();
  CHECK(gate::is_inside());
  CHECK(arena.ask(3) == 3);
  CHECK(gate::is_inside());
  join();
  part();
  CHECK(gate::is_inside());
  part();
  CHECK_FALSE(gate::is_inside());
  part();  // once more than it joined
  CHECK_FALSE(gate::is_inside());
}

TEST_CASE("oneTBB's gate: the pool's cap holds for an arena") {
  GrantTable table(8);
  Arena arena;
  gate::cap_pool(kPool, 2);
  CHECK(arena.ask(7) == 1);
  gate::cap_pool(kPool, 0);
  CHECK(arena.ask(7) == 7);
}

TEST_CASE("oneTBB's gate: an arena that works follows what is free, and is told of each change") {
  GrantTable table(3);
  const gate::Tally before = gate::tally();
  Arena arena;
  CHECK(arena.ask(7) == 2);
  tbb::renew_permits();
  CHECK(learnt(arena).empty());
  table.free += 2;
  tbb::renew_permits();
  CHECK(learnt(arena) == std::vector{4});
  table.free += 100;
  tbb::renew_permits();
  CHECK(learnt(arena) == std::vector{7});
  // Others have claimed all.
  table.free -= 200;
  tbb::renew_permits();
  CHECK(learnt(arena) == std::vector{1});
  CHECK(table.open == 1);
  // One region, however often it was granted something.
  CHECK(gate::tally().regions == before.regions + 1);
  arena.deactivate();
  table.free += 200;
  tbb::renew_permits();
  CHECK(learnt(arena).empty());
  CHECK(arena.workers() == 0);
  CHECK(table.open == 0);
}

TEST_CASE("oneTBB's gate: a working arena keeps the workers that it must have") {
  GrantTable table(8);
  Arena arena;
  CHECK(arena.ask(Asked{.least = 3, .most = 7}) == 7);
  table.free -= 100;
  tbb::renew_permits();
  CHECK(learnt(arena) == std::vector{3});
}

TEST_CASE("oneTBB's gate: a cap holds also for an arena that works") {
  GrantTable table(8);
  Arena arena;
  CHECK(arena.ask(7) == 7);
  gate::cap_pool(kPool, 3);
  tbb::renew_permits();
  CHECK(learnt(arena) == std::vector{2});
  gate::cap_pool(kPool, 0);
  tbb::renew_permits();
  CHECK(learnt(arena) == std::vector{7});
}

namespace {

std::ptrdiff_t own_threads() {
  return std::ranges::count_if(os::names_in("/proc/self/task"), [](const std::string& thread) {
    const auto name = os::read_file("/proc/self/task/" + thread + "/comm");
    return name && *name == "corewise\n";
  });
}

bool soon(const std::function<bool()>& holds) {
  for (int i = 0; i < 5000; ++i) {
    if (holds()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return false;
}

}  // namespace

TEST_CASE("oneTBB's gate: a thread asks again for arenas that work, also in a child of a fork") {
  GrantTable table(3);
  std::optional<Arena> arena(std::in_place);
  tbb::renew_by_itself(true);
  CHECK(arena->ask(7) == 2);
  CHECK(soon([&] { return own_threads() == 1; }));
  table.free += 2;
  CHECK(soon([&] { return arena->workers() == 4; }));
#if !defined(__SANITIZE_THREAD__)  // it lets no child start threads
  const pid_t child = ::fork();
  if (child == 0) {
    Arena of_child;
    table.free = 3;
    const bool granted = of_child.ask(7) == 2;
    table.free += 1;
    const bool follows = granted && soon([&] { return of_child.workers() == 3; });
    ::_exit(follows ? 0 : 1);
  }
  int status = -1;
  REQUIRE(::waitpid(child, &status, 0) == child);
  CHECK(status == 0);
#endif
  // It ends with the last permit.
  arena.reset();
  CHECK(soon([&] { return own_threads() == 0; }));
  tbb::renew_by_itself(false);
}

TEST_CASE("oneTBB's gate: ungoverned, a working arena gets all") {
  std::optional<GrantTable> table(2);
  Arena arena;
  CHECK(arena.ask(7) == 1);
  table.reset();
  tbb::renew_permits();
  CHECK(learnt(arena) == std::vector{7});
}

TEST_CASE("oneTBB's gate: while an arena of higher priority lacks workers, others have the least") {
  GrantTable table(6);
  Arena low;
  Arena high;
  CHECK(low.ask(Asked{.most = 5, .priority = 1}) == 5);
  CHECK(high.ask(Asked{.most = 5, .priority = 2}) == 1);
  tbb::renew_permits();
  tbb::renew_permits();
  CHECK(low.workers() == 1);
  CHECK(high.workers() == 3);
  // One more of the low ones asks only for the least.
  Arena other;
  CHECK(other.ask(Asked{.most = 5, .priority = 1}) == 1);
  table.free += 10;
  tbb::renew_permits();
  tbb::renew_permits();
  CHECK(high.workers() == 5);
  CHECK(low.workers() == 5);
  high.deactivate();
  low.deactivate();
  other.deactivate();
  CHECK(table.free == 16);
}

TEST_CASE("oneTBB's gate: constraints bound a request") {
  GrantTable table(64);
  Arena arena;
  const cw_tcm_constraint here{1, 2, nullptr, 0, -1, -1};
  const cw_tcm_constraint there{2, 3, nullptr, 1, -1, -1};
  CHECK(arena.ask(Asked{.most = 9, .constraints = {here, there}}) == 5);
  CHECK(arena.ask(Asked{.most = 4, .constraints = {here, there}}) == 4);
  table.free -= 200;
  tbb::renew_permits();
  CHECK(arena.workers() == 3);
}

TEST_CASE("oneTBB's gate: a client that never connected gets no permit") {
  const GrantTable table(4);
  const std::uint64_t last = client();
  cw_tcm_permit* permit = nullptr;
  using Ask = std::int32_t(std::uint64_t, cw_tcm_request, void*, cw_tcm_permit**, cw_tcm_granted*);
  for (const std::uint64_t other : {std::uint64_t{0}, last + 1}) {
    CHECK(tcm<Ask>("tcmRequestPermit")(other, {0, 3, nullptr, 0, 0, 0, {}}, nullptr, &permit,
                                       nullptr) != 0);
    CHECK(permit == nullptr);
  }
}
