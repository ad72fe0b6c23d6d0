// The rule by which regions are granted threads, as the simulator runs it: on machines of any size,
// and number for number what the real ledger grants.
#include <doctest/doctest.h>

#include <algorithm>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <random>
#include <thread>
#include <vector>

#include "../unit/ledger_fixture.h"
#include "policy.h"

using namespace corewise;
using simulate::Governed;

namespace {

constexpr int kPlacesForAll = static_cast<int>(govern::kPlaces);

Governed::Options rule(int budget, int processes, bool policies) {
  Governed::Options made;
  made.budget = made.cores = budget;
  made.processes = processes;
  made.recent.enabled = made.sees_neighbours = policies;
  return made;
}

// Regions of many processes that begin and end at random.
class Crowd {
 public:
  explicit Crowd(unsigned seed) : random_(seed) {}

  int below(int bound) { return static_cast<int>(random_() % static_cast<unsigned>(bound)); }

  struct Event {
    int process;
    int wanted;  // 0: its region ends
  };
  Event next(std::vector<int>& held, int budget) {
    const int process = below(static_cast<int>(held.size()));
    if (held[static_cast<std::size_t>(process)] > 0) return {process, 0};
    return {process, 2 + below(2 * budget)};
  }

 private:
  std::mt19937 random_;
};

int sum_of(const std::vector<int>& held) {
  int sum = 0;
  for (const int each : held) sum += each;
  return sum;
}

// Half of the machines are small, some as large as there are.
int some_budget(Crowd& crowd) { return 1 + crowd.below(crowd.below(2) == 0 ? 16 : 1024); }

// A process: the ledger knows a thread by what lies in the thread.
class Seat {
 public:
  explicit Seat(const govern::LedgerOptions& options)
      : ledger_(std::move(*govern::Ledger::open(options))), thread_([this] { serve(); }) {}
  Seat(const Seat&) = delete;
  Seat& operator=(const Seat&) = delete;
  ~Seat() {
    ask([this] { leaving_ = true; });
    thread_.join();
  }

  int enter(int wanted) {
    ask([&] { grant_ = ledger_->acquire(wanted); });
    return grant_.threads;
  }
  void leave() {
    ask([&] { ledger_->release(grant_); });
  }

 private:
  void ask(std::function<void()> what) {
    std::unique_lock lock(mutex_);
    asked_ = std::move(what);
    changed_.notify_all();
    changed_.wait(lock, [this] { return !asked_; });
  }
  void serve() {
    std::unique_lock lock(mutex_);
    while (!leaving_) {
      changed_.wait(lock, [this] { return static_cast<bool>(asked_); });
      asked_();
      asked_ = nullptr;
      changed_.notify_all();
    }
  }

  std::unique_ptr<govern::Ledger> ledger_;
  govern::Grant grant_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::function<void()> asked_;
  bool leaving_ = false;
  std::thread thread_;
};

}  // namespace

TEST_CASE("simulator and ledger grant the same, event for event") {
  const test::LedgerFolder folder;
  for (unsigned seed = 1; seed <= 20; ++seed) {
    CAPTURE(seed);
    Crowd crowd(seed);
    const int budget = some_budget(crowd);
    const int processes = 1 + crowd.below(12);
    govern::LedgerOptions options = folder.options(budget, std::to_string(seed));
    // With one epoch for the whole test, so that the clock decides nothing.
    options.recent.enabled = seed % 2 == 0;
    options.recent.epoch_ms = 3'600'000;
    Governed::Options same = rule(budget, processes, false);
    same.recent = options.recent;
    Governed governed(same, {});
    std::vector<std::unique_ptr<Seat>> seats;
    for (int i = 0; i < processes; ++i) seats.push_back(std::make_unique<Seat>(options));
    std::vector<int> held(static_cast<std::size_t>(processes));
    for (int i = 0; i < 300; ++i) {
      const auto [process, wanted] = crowd.next(held, budget);
      const auto at = static_cast<std::size_t>(process);
      CAPTURE(i);
      if (wanted == 0) {
        governed.leave(process);
        seats[at]->leave();
        held[at] = 0;
        continue;
      }
      held[at] = governed.enter(process, wanted, 1e-3 * i, 1);
      REQUIRE(held[at] == seats[at]->enter(wanted));
    }
    CHECK(governed.granted() == sum_of(held));
  }
}

TEST_CASE("no region gets one thread while others would be free, nor all together too many") {
  for (unsigned seed = 1; seed <= 60; ++seed) {
    CAPTURE(seed);
    Crowd crowd(seed);
    const int budget = some_budget(crowd);
    const int processes = 1 + crowd.below(seed % 3 == 0 ? kPlacesForAll : 20);
    const bool policies = seed % 2 == 0;
    Governed::Options options = rule(budget, processes, policies);
    options.sees_neighbours = false;
    Governed governed(options, {});
    std::vector<int> held(static_cast<std::size_t>(processes));
    for (int i = 0; i < 3000; ++i) {
      const auto [process, wanted] = crowd.next(held, budget);
      int& mine = held[static_cast<std::size_t>(process)];
      if (wanted == 0) {
        governed.leave(process);
        mine = 0;
        continue;
      }
      const int free = budget - sum_of(held);
      const int got = governed.enter(process, wanted, 1e-3 * crowd.below(5) + 2e-3 * i, 1);
      // The recent callers take nothing from anybody's equal share.
      const int share = policies ? std::max(1, budget / processes) : budget;
      REQUIRE(got >= std::clamp(std::min(free, share), 1, wanted));
      REQUIRE(got <= std::clamp(free, 1, wanted));
      mine = got;
      const auto ones = std::ranges::count(held, 1);
      REQUIRE(sum_of(held) - static_cast<int>(ones) <= budget);
      REQUIRE(sum_of(held) <= budget + static_cast<int>(ones));
    }
  }
}

TEST_CASE("a lone region has the whole budget, whatever went on 50 ms before") {
  int lone = 0;
  for (unsigned seed = 1; seed <= 60; ++seed) {
    CAPTURE(seed);
    Crowd crowd(seed);
    const int budget = some_budget(crowd);
    const int processes = 1 + crowd.below(seed % 3 == 0 ? kPlacesForAll : 20);
    Governed governed(rule(budget, processes, true), {});
    double now = 0;
    for (int round = 0; round < 60; ++round) {
      // A crowd, in regions and outside, on a machine that is busy with other things besides.
      std::vector<int> held(static_cast<std::size_t>(processes));
      for (int i = crowd.below(200); i > 0; --i) {
        const auto [process, wanted] = crowd.next(held, budget);
        auto& mine = held[static_cast<std::size_t>(process)];
        if (wanted == 0) governed.leave(process);
        mine = wanted == 0 ? 0 : governed.enter(process, wanted, now, crowd.below(3 * budget));
        now += 1e-3 * crowd.below(10);
      }
      for (int i = 0; i < processes; ++i) governed.leave(i);
      REQUIRE(governed.granted() == 0);
      now += 0.052;
      const int process = crowd.below(processes);
      const int wanted = 2 + crowd.below(2 * budget);
      REQUIRE(governed.enter(process, wanted, now, crowd.below(3 * budget)) ==
              std::min(wanted, budget));
      governed.leave(process);
      ++lone;
    }
  }
  CHECK(lone == 3600);
}

TEST_CASE("who finds no place has one thread a region, and a place once somebody has ended") {
  const int processes = kPlacesForAll + 1;
  Governed governed(rule(1024, processes, false), {});
  for (int i = 0; i < kPlacesForAll; ++i) {
    CHECK(governed.enter(i, 2, 0, 1) == 2);
    governed.leave(i);
  }
  const int late = kPlacesForAll;
  CHECK(governed.enter(late, 1024, 0.1, 1) == 1);
  governed.leave(late);
  CHECK(governed.granted() == 0);
  governed.ended(7);
  CHECK(governed.enter(late, 1024, 0.9, 1) == 1);
  governed.leave(late);
  CHECK(governed.enter(late, 1024, 1.2, 1) == 1024);
}
