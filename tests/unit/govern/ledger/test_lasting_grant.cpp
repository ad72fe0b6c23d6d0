// A grant that lasts and changes: a build's.
#include <doctest/doctest.h>

#include "ledger_fixture.h"

namespace corewise::govern {

TEST_CASE("a lasting grant grows into what is free, and shrinks") {
  const test::LedgerFolder folder;
  const auto ledger = folder.open(4);
  const auto other = folder.open(4);
  Grant build = ledger->change({}, 1);
  CHECK(build.threads == 1);
  const Grant region = other->acquire(2);
  build = ledger->change(build, 4);
  CHECK(build.threads == 2);
  CHECK(build.hungry);
  CHECK(ledger->granted() == 4);
  other->release(region);
  build = ledger->change(build, 4);
  CHECK(build.threads == 4);
  CHECK_FALSE(build.hungry);
  build = ledger->change(build, 1);
  CHECK(ledger->granted() == 1);
  ledger->release(build);
  CHECK(ledger->granted() == 0);
}

TEST_CASE("what is not free is not granted, but for the first thread") {
  const test::LedgerFolder folder;
  const auto ledger = folder.open(2);
  const Grant region = ledger->acquire(2);
  CHECK(test::in_child([&] {
          const auto own = folder.open(2);
          Grant build = own->change({}, 2);
          if (build.threads != 1) return 1;
          build = own->change(build, 2);
          return build.threads == 1 && own->granted() == 3 ? 0 : 2;
        }) == 0);
  ledger->release(region);
}

TEST_CASE("it sees others wait, and not itself") {
  const test::LedgerFolder folder;
  const auto ledger = folder.open(4);
  Grant build = ledger->change({}, 4);
  CHECK_FALSE(ledger->standing(build, true).others_wait);
  const Grant second = ledger->acquire(4);  // gets one of four
  CHECK(second.hungry);
  CHECK(ledger->standing(build, true).others_wait);
  build = ledger->change(build, 3);
  ledger->release(second);
  CHECK_FALSE(ledger->standing(build, true).others_wait);
  build = ledger->change(build, 4);
  CHECK_FALSE(ledger->standing(build, true).others_wait);
  ledger->release(build);
}

TEST_CASE("its share is divided among the recent callers, if it asks") {
  const test::LedgerFolder folder;
  LedgerOptions options = folder.options(8);
  options.recent = {.enabled = true, .epoch_ms = 1'000'000};
  const auto ledger = std::move(*Ledger::open(options));
  const Grant build = ledger->change({}, 1);
  CHECK(ledger->standing(build, true).share == 8);
  CHECK(test::in_child([&] {
          const auto other = std::move(*Ledger::open(options));
          other->release(other->acquire(8));
          return 0;
        }) == 0);
  CHECK(ledger->standing(build, true).share == 4);
  ledger->release(build);
}

TEST_CASE("a damaged place is claimed anew") {
  const test::LedgerFolder folder;
  const auto ledger = folder.open(4);
  const Grant build = ledger->change({}, 3);
  CHECK(build.threads == 3);
  const Grant stale{3, build.claim + (std::uint64_t{1} << 42), false};
  const Grant anew = ledger->change(stale, 2);
  CHECK(anew.threads >= 1);
  CHECK(anew.claim == build.claim);
}

}  // namespace corewise::govern
