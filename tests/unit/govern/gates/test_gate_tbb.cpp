// The gate of oneTBB over a runtime made here: this program asks for permits as oneTBB does,
// through the functions of libtcm.so.1.
#include <dlfcn.h>
#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>

#include "govern/gates/gate_tbb.h"
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

bool connect(std::uint64_t& client) {
  return tcm<std::int32_t(void*, std::uint64_t*)>("tcmConnect")(nullptr, &client) == 0;
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
    return true;
  }();
  static_cast<void>(offered);
  expect_this_program();
  std::uint64_t number = 0;
  REQUIRE(connect(number));
  return number;
}

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
  int ask(int most, std::uint32_t flags = 0) {
    using Ask =
        std::int32_t(std::uint64_t, cw_tcm_request, void*, cw_tcm_permit**, cw_tcm_granted*);
    const cw_tcm_request request{0, most, nullptr, 0, 0, flags, {}};
    REQUIRE(tcm<Ask>("tcmRequestPermit")(client_, request, nullptr, &permit_, nullptr) == 0);
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

 private:
  std::uint64_t client_ = client();
  cw_tcm_permit* permit_ = nullptr;
};

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
