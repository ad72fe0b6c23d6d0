#include <doctest/doctest.h>

#include <algorithm>
#include <random>
#include <vector>

#include "govern/machine/fair_share.h"

using namespace corewise::govern;

namespace {

// What each of them gets who knows the others' claims; its own may be a lie.
int share_of(int cpus, const std::vector<int>& wants, std::size_t me, std::uint64_t turn = 0) {
  std::vector<Claimant> others;
  for (std::size_t i = 0; i < wants.size(); ++i) {
    if (i != me) others.push_back({static_cast<std::uint32_t>(i), wants[i]});
  }
  return fair_share(cpus, others, static_cast<std::uint32_t>(me), turn);
}

}  // namespace

TEST_CASE("examples") {
  CHECK(share_of(16, {99}, 0) == 16);
  CHECK(share_of(16, {99, 99}, 0) == 8);
  CHECK(share_of(16, {99, 2}, 0) == 14);           // who wants less leaves the rest
  CHECK(share_of(16, {99, 2, 99}, 0) == 7);        // to both of the others
  CHECK(share_of(16, {99, 0, -5}, 0) == 16);       // nobody asks
  CHECK(share_of(16, {99, 10000, 5}, 0) == 6);     // 5 is below the third: (16 - 5) / 2, rounded up
  CHECK(share_of(16, {10000, 10000, 5}, 1) == 5);  // and down for the second
  CHECK(share_of(16, {10000, 10000, 5}, 1, 1) == 6);  // the odd one goes round
  CHECK(share_of(1, {9, 9, 9}, 2) == 1);              // never below 1
  CHECK(share_of(2, std::vector<int>(64, 9), 63) == 1);
}

TEST_CASE("any claims: within the CPUs, none left idle, and no liar gains") {
  std::mt19937 random(4711);  // NOLINT: the same at each run
  const auto up_to = [&](int most) { return std::uniform_int_distribution<int>(0, most)(random); };
  for (int run = 0; run < 20'000; ++run) {
    const int cpus = 1 + up_to(run % 3 == 0 ? 8 : 300);
    std::vector<int> wants(static_cast<std::size_t>(1 + up_to(12)));
    for (int& one : wants) one = up_to(run % 2 == 0 ? 9 : 400);
    const auto turn = static_cast<std::uint64_t>(up_to(1000));
    const auto asking =
        static_cast<int>(std::ranges::count_if(wants, [](int one) { return one > 0; }));
    int given = 0;
    int wanted = 0;
    for (std::size_t me = 0; me < wants.size(); ++me) {
      if (wants[me] == 0) continue;
      const int share = share_of(cpus, wants, me, turn);
      // An equal part is everybody's.
      REQUIRE(share >= std::max(1, std::min(wants[me], cpus / asking)));
      given += std::min(wants[me], share);
      wanted += wants[me];
    }
    if (asking > 0) {
      REQUIRE(given <= std::max(cpus, asking));
      REQUIRE(given >= std::min(cpus, wanted));
    }
    // Whatever one of them claims, the others lose no more than to an equal part.
    const auto liar = static_cast<std::size_t>(up_to(static_cast<int>(wants.size()) - 1));
    for (const int lie : {-10'000, 10'000, 0xffff}) {
      std::vector<int> told = wants;
      told[liar] = lie;
      for (std::size_t me = 0; me < wants.size(); ++me) {
        if (me == liar || wants[me] == 0) continue;
        const int others = asking - (wants[liar] > 0 ? 1 : 0) + (lie > 0 ? 1 : 0);
        REQUIRE(share_of(cpus, told, me, turn) >= std::max(1, std::min(wants[me], cpus / others)));
      }
    }
  }
}
