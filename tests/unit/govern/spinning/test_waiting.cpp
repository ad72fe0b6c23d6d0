// How a team's threads wait: words and numbers made here, and regions that are crowded or not.
#include <doctest/doctest.h>

#include <cstdint>

#include "govern/spinning/waiting.h"

namespace govern = corewise::govern;
namespace waiting = corewise::govern::waiting;
using corewise::govern::gate::Visit;

namespace {

constexpr std::uint64_t kAlone = 30000;
constexpr std::uint64_t kThrottled = 100;
constexpr Visit kFree = {.threads = 2, .governed = true, .crowded = false};
constexpr Visit kCrowded = {.threads = 2, .governed = true, .crowded = true};
constexpr Visit kUngoverned = {.threads = 2};

// Copies of other tests have other numbers.
constexpr std::size_t kWordCopy = 0;
constexpr std::size_t kFreshCopy = 5;
constexpr std::size_t kNumberCopy = 1;

// One for the process: a word must live on.
struct Word {
  alignas(8) inline static std::uint64_t memory = kAlone;
  alignas(8) inline static std::uint64_t throttled = kThrottled;
  Word() {
    memory = kAlone;
    throttled = kThrottled;
    waiting::add_word(kWordCopy, {reinterpret_cast<std::uintptr_t>(&memory), 8, kAlone, 0,
                                  reinterpret_cast<std::uintptr_t>(&throttled)});
  }
  ~Word() { waiting::give_back(); }
  static std::uint64_t after(const Visit& visit) {
    const waiting::Region region(kWordCopy, visit);
    return memory;
  }
};

int number = 200;
int get() { return number; }
void set(int milliseconds) { number = milliseconds; }
int processors() { return 2; }
constexpr waiting::BlocktimeCalls kCalls = {get, set, processors};

}  // namespace

TEST_CASE("waiting: the word follows each region") {
  const Word word;
  CHECK(Word::after(kFree) == kAlone);
  CHECK(Word::after(kCrowded) == 0);
  CHECK(Word::after(kUngoverned) == 0);
  CHECK(Word::after(kCrowded) == 0);
  CHECK(Word::after(kFree) == kAlone);
}

TEST_CASE("waiting: so does the word for more threads than CPUs") {
  const Word word;
  Word::after(kCrowded);
  CHECK(Word::throttled == 0);
  Word::after(kFree);
  CHECK(Word::throttled == kThrottled);
  Word::after(kCrowded);
  waiting::give_back();
  CHECK(Word::throttled == kThrottled);
}

TEST_CASE("waiting: what somebody else has set stays") {
  const Word word;
  Word::memory = 7;
  CHECK(Word::after(kCrowded) == 7);
  CHECK(Word::after(kFree) == 7);
  waiting::give_back();
  CHECK(Word::memory == 7);
}

TEST_CASE("waiting: given back, and then left alone until it is added again") {
  const Word word;
  CHECK(Word::after(kCrowded) == 0);
  waiting::give_back();
  CHECK(Word::memory == kAlone);
  CHECK(Word::after(kCrowded) == kAlone);
  const Word again;
  CHECK(Word::after(kCrowded) == 0);
}

TEST_CASE("waiting: a team wider than the machine does not spin, unless a number was set") {
  number = 200;
  constexpr Visit kWide = {.threads = 3, .governed = true, .crowded = true};
  static std::size_t copy = kFreshCopy;
  const std::size_t fresh = copy++;
  waiting::add_blocktime(fresh, kCalls);
  CHECK_FALSE(waiting::Region(fresh, kWide).blocktime().lowered);
  SUBCASE("by us") { CHECK(waiting::Region(fresh, kCrowded).blocktime().lowered); }
  SUBCASE("by the program") { waiting::number_set(fresh); }
  CHECK(waiting::Region(fresh, kWide).blocktime().lowered);
}

TEST_CASE("waiting: whoever sleeps for the crowd is not cancelled there, and its program is") {
  number = 200;
  waiting::add_blocktime(kNumberCopy, kCalls);
  const auto state = [] {
    int now = -1;
    pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, &now);
    pthread_setcancelstate(now, nullptr);
    return now;
  };
  {
    waiting::Region region(kNumberCopy, kCrowded);
    REQUIRE(region.uncancelled() != nullptr);
    CHECK(state() == PTHREAD_CANCEL_DISABLE);
    {
      const corewise::os::Uncancelled::Program program(*region.uncancelled());
      CHECK(state() == PTHREAD_CANCEL_ENABLE);
    }
    CHECK(state() == PTHREAD_CANCEL_DISABLE);
  }
  CHECK(state() == PTHREAD_CANCEL_ENABLE);
  waiting::Region free(kNumberCopy, kFree);
  CHECK(free.uncancelled() == nullptr);
}

TEST_CASE("waiting: the number is lowered for a region, and its threads are shown the program's") {
  number = 200;
  waiting::add_blocktime(kNumberCopy, kCalls);
  {
    const waiting::Region region(kNumberCopy, kFree);
    CHECK(number == 200);
    CHECK_FALSE(region.blocktime().lowered);
  }
  {
    const waiting::Region region(kNumberCopy, kCrowded);
    CHECK(number == 0);
    CHECK_FALSE(waiting::blocktime().lowered);
    const waiting::Member member(region.blocktime());
    CHECK(waiting::blocktime().lowered);
    CHECK(waiting::blocktime().own == 200);
    // Nested: nothing left to lower, and still the program's.
    const waiting::Region inner(kNumberCopy, kCrowded);
    const waiting::Member inner_member(inner.blocktime());
    CHECK(waiting::blocktime().own == 200);
  }
  CHECK(number == 200);
  CHECK_FALSE(waiting::blocktime().lowered);
}

TEST_CASE("waiting: a program that never waits is left so, and so is a region of one thread") {
  waiting::add_blocktime(kNumberCopy, kCalls);
  number = 0;
  CHECK_FALSE(waiting::Region(kNumberCopy, kCrowded).blocktime().lowered);
  CHECK(number == 0);
  number = 200;
  const waiting::Region one(kNumberCopy, {.threads = 1, .governed = true, .crowded = true});
  CHECK(number == 200);
}
