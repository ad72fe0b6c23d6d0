// The granter: what the ledger has free, within what this process may have.
#include <doctest/doctest.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "govern/grants/granter.h"

using namespace corewise::govern;

namespace {

// A ledger of this test's own; other people's work does not count.
Granter& granter(int budget) {
  // A granter is never destroyed, and a leak checker must find it.
  static auto* const all = new std::vector<Granter*>;
  const std::string key =
      "test-granter-" + std::to_string(::getpid()) + "-" + std::to_string(all->size());
  auto made = Granter::open(key, budget);
  REQUIRE(made);
  all->push_back(*made);
  (*made)->share_machine(0);
  return **made;
}

Grant ask(Granter& from, int wanted, bool whole = false) {
  const Grants& grants = *from.grants();
  return grants.acquire(grants.self, {.wanted = wanted, .whole = whole});
}

void give(Granter& to, const Grant& grant) { to.grants()->release(to.grants()->self, grant); }

}  // namespace

TEST_CASE("granter: who is alone gets what he wants, and gives it back") {
  Granter& from = granter(4);
  const Grant grant = ask(from, 3);
  CHECK(grant.threads == 3);
  CHECK_FALSE(grant.contended);
  CHECK(from.ledger().granted() == 3);
  give(from, grant);
  CHECK(from.ledger().granted() == 0);
}

TEST_CASE("granter: more than the budget is not contended, less than it is") {
  Granter& from = granter(4);
  const Grant all = ask(from, 9);
  CHECK(all.threads == 4);
  CHECK_FALSE(all.contended);
  const Grant late = ask(from, 2);
  CHECK(late.threads == 1);
  CHECK(late.contended);
  give(from, late);
  give(from, all);
  CHECK(from.ledger().granted() == 0);
}

TEST_CASE("granter: a process stays within its most, and has its part whatever others hold") {
  Granter& from = granter(4);
  from.bound(1, 2);
  const Grant most = ask(from, 4);
  CHECK(most.threads == 2);
  CHECK_FALSE(most.contended);
  give(from, most);
  from.bound(3, 4);
  const Grant first = ask(from, 4);
  CHECK(first.threads >= 3);
  give(from, first);
  CHECK(from.ledger().granted() == 0);
}

TEST_CASE("granter: a whole team is counted by what it was granted") {
  Granter& from = granter(2);
  const Grant grant = ask(from, 6, true);
  CHECK(grant.threads == 2);
  CHECK(from.ledger().granted() == 2);
  give(from, grant);
}

TEST_CASE("granter: a budget out of range has none") {
  CHECK_FALSE(Granter::open("test-granter-none", 0));
}
