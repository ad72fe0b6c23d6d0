// Facts (libgomp/config/linux/wait.h; openmp/runtime/src/kmp_barrier.cpp, kmp_wait_release.h):
// libgomp reads one of its words once a wait. LLVM's runtimes hand the forking thread's blocktime
// to each member at the fork barrier; a thread reads its own when it comes to a barrier, the last
// one of its region included, after which it waits for the next region.
#include "waiting.h"

#include <array>
#include <atomic>
#include <utility>

namespace corewise::govern::waiting {
namespace {

// Turns while others want the CPUs.
constexpr std::uint64_t kCrowded = 0;

struct WaitingCopy {
  // Each with what it holds for a program that is alone; at 0: none.
  SpinWord word, throttled;
  std::atomic<bool> active{false};
  BlocktimeCalls blocktime;
  std::atomic<bool> number_set{false};  // by the program, or by us
};
constinit std::array<WaitingCopy, kMostCopies> copies;

[[gnu::tls_model("initial-exec")]] constinit thread_local Blocktime mine;

// A word that holds another value belongs to somebody else by now.
void turn(const SpinWord& word, bool crowded) {
  if (word.at == 0) return;
  const std::uint64_t wanted = crowded ? kCrowded : word.brief;
  if (word.load() != wanted) word.exchange(crowded ? word.brief : kCrowded, wanted);
}

void turn_both(const WaitingCopy& copy, bool crowded) {
  turn(copy.word, crowded);
  turn(copy.throttled, crowded);
}

}  // namespace

void add_word(std::size_t copy, const SpinWord& word) {
  // A thread may still be using the word from the last time.
  if (copies[copy].word.at != word.at) {
    SpinWord throttled{word.throttled_at, word.width};
    if (throttled.at != 0) throttled.brief = throttled.load();
    copies[copy].word = word;
    copies[copy].throttled = throttled;
  }
  copies[copy].active.store(true);
}

void add_blocktime(std::size_t copy, const BlocktimeCalls& calls) {
  copies[copy].blocktime = calls;
}

void give_back() {
  for (WaitingCopy& copy : copies) {
    if (copy.active.exchange(false)) turn_both(copy, false);
  }
}

void turn_words(std::size_t number, const gate::Visit& visit) {
  const WaitingCopy& copy = copies[number];
  if (!visit.governed || !copy.active.load(std::memory_order_relaxed)) return;
  turn_both(copy, visit.crowded);
  // give_back() first clears `active`, then looks at the words.
  if (visit.crowded && !copy.active.load()) turn_both(copy, false);
}

void Region::lower(int threads) {
  WaitingCopy& copy = copies[copy_];
  const BlocktimeCalls& calls = copy.blocktime;
  if (calls.set == nullptr) return;
  const int now = calls.get();
  // With more threads than CPUs LLVM's runtimes do not spin, and say so, unless a number was set.
  const bool spins = threads <= calls.processors() || copy.number_set.load();
  lowered_ = now > 0 && spins;
  // An outer region may have lowered it.
  blocktime_ = lowered_ ? Blocktime{.lowered = true, .own = now} : mine;
  if (!lowered_) return;
  copy.number_set.store(true);
  calls.set(0);
  uncancelled_.emplace();
}

void Region::raise() const { copies[copy_].blocktime.set(blocktime_.own); }

Member::Member(const Blocktime& team) : before_(std::exchange(mine, team)) {}
Member::~Member() { mine = before_; }

const Blocktime& blocktime() { return mine; }

void number_set(std::size_t copy) {
  mine = {};
  copies[copy].number_set.store(true);
}

}  // namespace corewise::govern::waiting
