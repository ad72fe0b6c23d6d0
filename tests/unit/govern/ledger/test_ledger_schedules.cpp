// The protocol itself under a scheduler: virtual processes run the real code, which yields before
// every access to a shared word; the test decides who goes on, and who dies or is stopped there.
// Every schedule with at most so many preemptions is run, and with deaths or stops every step is a
// place for one. Who was stopped goes on at any later time.
#include <doctest/doctest.h>
#include <ucontext.h>

#include <algorithm>
#include <array>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "govern/ledger/ledger_protocol.h"
#include "govern/ledger/public_sums.h"
#include "ledger_fixture.h"

// ThreadSanitizer does not follow a change of stack.
#if !defined(COREWISE_TEST_TSAN)

using namespace corewise::govern;

namespace {

class Schedule;
Schedule* schedule = nullptr;

// Virtual processes are named by pid 1, 2, ...
struct SteppedWorld {
  void step() const;
  Life life(Word word, bool closely) const;
  static std::uint64_t now_ms() { return 1000; }
};

using Table = Protocol<SteppedWorld>;
// Called for each process, and once with kBefore, undisturbed, before they start.
constexpr int kBefore = -1;
using Body = std::function<void(Schedule&, Table&, int)>;

struct Choice {
  int taken = 0;
  int alternatives = 1;
};

struct Size {
  int processes;
  int budget;
  int preemptions;
  int deaths = 0;
  int stops = 0;
  int part = 1;  // what each has for itself
  bool publishes = false;
};

std::size_t index(int i) { return static_cast<std::size_t>(i); }

// One run. Choices are replayed from a prefix; beyond it the first alternative is taken, and how
// many there were is noted for the next run.
class Schedule {
 public:
  Schedule(std::vector<Choice>& choices, const Size& size)
      : choices_(choices), size_(size), processes_(index(size.processes)) {
    shared_->budget.store(static_cast<std::uint32_t>(size.budget));
  }

  // False if a promise was broken.
  bool run(const Body& body) {
    schedule = this;
    body_ = &body;
    for (int i = 0; i < size_.processes; ++i) {
      Process& process = processes_[index(i)];
      getcontext(&process.context);
      process.context.uc_stack.ss_sp = process.stack->data();
      process.context.uc_stack.ss_size = process.stack->size();
      process.context.uc_link = &back_;
      makecontext(&process.context, reinterpret_cast<void (*)()>(&Schedule::live), 1, i);
    }
    body(*this, table_, kBefore);
    for (int next = pick(); next >= 0; next = pick()) {
      current_ = next;
      processes_[index(next)].stopped = false;
      swapcontext(&back_, &processes_[index(next)].context);
    }
    // What the dead left goes in one pass, and then everything is free.
    current_ = -1;
    table_.reap(Table::Depth::kThorough);
    if (table_.total() != 0) kept_ = false;
    // The sum that is left over names nobody who could still vouch for it.
    const Word left = sums_.held.load();
    if (tokens(left) != 0 && !processes_[identity(left).pid - 1].died) kept_ = false;
    schedule = nullptr;
    return kept_;
  }

  void step() {
    if (current_ < 0) return;
    Process& process = processes_[index(current_)];
    swapcontext(&process.context, &back_);
  }

  bool ended(std::uint32_t pid) const {
    return pid < 1 || pid > processes_.size() || processes_[pid - 1].ended;
  }
  bool stopped(std::uint32_t pid) const { return processes_[pid - 1].stopped; }

  // Whose tokens were taken while it was stopped runs on without: the others keep the budget.
  void hold(int threads) {
    processes_[index(current_)].held = threads;
    int more = 0;
    int parts = 0;
    for (const Process& process : processes_) {
      if (process.was_stopped) continue;
      (process.held > size_.part ? more : parts) += process.held;
    }
    const int all_but_one = (size_.processes - 1) * size_.part;
    if (more > size_.budget || more + parts > size_.budget + all_but_one) broken();
  }
  int part() const { return size_.part; }

  // Does `change`, which changes the current process's word, and then publishes.
  template <class Change>
  int published(Claim claim, Change change) {
    ++changing_;
    const int result = change();
    if (size_.publishes) publish(sums_, table_, world_, claim);
    --changing_;
    // Unseen: this look is no step.
    const int me = std::exchange(current_, -1);
    const bool quiet = changing_ == 0 && std::ranges::none_of(processes_, &Process::was_stopped) &&
                       std::ranges::none_of(processes_, &Process::died);
    if (size_.publishes && quiet && tokens(sums_.held.load()) != table_.total()) broken();
    current_ = me;
    return result;
  }

  void broken() { kept_ = false; }

 private:
  struct Process {
    ucontext_t context{};
    std::unique_ptr<std::array<char, 64 * 1024>> stack =
        std::make_unique_for_overwrite<std::array<char, 64 * 1024>>();
    bool ended = false;
    bool died = false;
    bool stopped = false;
    bool was_stopped = false;
    int held = 0;
  };

  static void live(int i) {
    Schedule& run = *schedule;
    (*run.body_)(run, run.table_, i);
    run.processes_[index(i)].ended = true;
  }

  // Who goes on; the one who ran may die instead, its stack never to be entered again, or be
  // stopped. -1: nobody.
  int pick() {
    bool running = current_ >= 0 && !processes_[index(current_)].ended;
    if (running && size_.stops > 0 && choose(2) == 1) {
      --size_.stops;
      processes_[index(current_)].stopped = true;
      processes_[index(current_)].was_stopped = true;
      running = false;
    }
    if (running && size_.deaths > 0 && choose(2) == 1) {
      --size_.deaths;
      processes_[index(current_)].ended = true;
      processes_[index(current_)].died = true;
      processes_[index(current_)].held = 0;
      return pick();
    }
    std::vector<int> ready;
    if (running) ready.push_back(current_);
    if (!running || size_.preemptions > 0) {
      for (int i = 0; i < size_.processes; ++i) {
        if ((i != current_ || !running) && !processes_[index(i)].ended) ready.push_back(i);
      }
    }
    if (ready.empty()) return -1;
    const int next = ready[index(choose(static_cast<int>(ready.size())))];
    if (running && next != current_) --size_.preemptions;
    return next;
  }

  int choose(int alternatives) {
    if (alternatives == 1) return 0;
    if (position_ == choices_.size()) choices_.push_back({0, alternatives});
    return choices_[position_++].taken;
  }

  std::vector<Choice>& choices_;
  std::size_t position_ = 0;
  Size size_;
  bool kept_ = true;
  int current_ = -1;
  std::unique_ptr<Shared> shared_ = std::make_unique<Shared>();
  SteppedWorld world_;
  Table table_{*shared_, world_};
  PublicSums sums_{};
  int changing_ = 0;
  std::vector<Process> processes_;
  const Body* body_ = nullptr;
  ucontext_t back_{};
};

void SteppedWorld::step() const { schedule->step(); }
Life SteppedWorld::life(Word word, bool) const {
  const std::uint32_t pid = identity(word).pid;
  if (schedule->ended(pid)) return Life::gone;
  return schedule->stopped(pid) ? Life::stopped : Life::runs;
}

// Depth first over all choices; the number of runs, negative if one broke a promise.
int explore(const Size& size, const Body& body) {
  std::vector<Choice> choices;
  int runs = 0;
  while (true) {
    ++runs;
    if (!Schedule(choices, size).run(body)) return -runs;
    while (!choices.empty() && choices.back().taken + 1 == choices.back().alternatives) {
      choices.pop_back();
    }
    if (choices.empty()) return runs;
    ++choices.back().taken;
  }
}

Word name(int process) { return pack({static_cast<std::uint32_t>(process) + 1, 7, 7}); }

void regions(Schedule& run, Table& table, int process, int count) {
  const Claim claim = table.claim(name(process));
  for (int i = 0; i < count; ++i) {
    const int granted = run.published(
        claim, [&] { return table.take(claim, 4, run.part(), kMaxBudget, run.part()); });
    if (granted < run.part() || granted > 4) run.broken();
    run.hold(granted);
    run.step();
    run.hold(0);
    run.published(claim, [&] {
      table.give_back(claim, granted);
      return 0;
    });
  }
  table.give_up(claim);
}

// A process's life: one region.
void region(Schedule& run, Table& table, int process) {
  if (process != kBefore) regions(run, table, process, 1);
}

// Looks for the dead meanwhile, and may be stopped anywhere in it.
void region_or_reaper(Schedule& run, Table& table, int process) {
  if (process == 0) {
    table.reap(Table::Depth::kThorough);
  } else {
    region(run, table, process);
  }
}

// Somebody with two regions is looked for by the first, and may be stopped anywhere in them.
void two_regions_or_reaper(Schedule& run, Table& table, int process) {
  if (process == 0) {
    table.reap(Table::Depth::kThorough);
  } else if (process > 0) {
    regions(run, table, process, 3 - process);
  }
}

// Before the run, somebody died with tokens; of two reapers one goes on and uses the freed place.
void region_after_reaping(Schedule& run, Table& table, int process) {
  constexpr int kStranger = 90;
  if (process == kBefore) {
    table.take(table.claim(name(kStranger)), 3);
    return;
  }
  if (process < 2) table.reap(Table::Depth::kThorough);
  if (process > 0) region(run, table, process);
}

// Before the run, a stranger took all; two threads of one process, which has a part of three,
// enter.
void threads_of_a_rank(Schedule& run, Table& table, int process) {
  constexpr int kStranger = 90;
  constexpr int kPart = 3;
  static Claim rank;
  static std::array<int, 2> inside;
  if (process == kBefore) {
    inside = {};
    rank = table.claim(name(0));
    table.take(table.claim(name(kStranger)), 4);
    return;
  }
  inside[index(process)] = table.take(rank, kPart, table.left_of(rank, kPart), kMaxBudget, kPart);
  // Together the part, and one that a thread always has.
  const int sum = inside[0] + inside[1];
  const bool both = inside[0] > 0 && inside[1] > 0;
  if (sum > kPart + 1 || (both && sum < kPart)) run.broken();
  run.step();
  table.give_back(rank, std::exchange(inside[index(process)], 0));
}

// Before the run, place 0 is process 0's and place 1 was used and left: a reaper is about to find
// that sums need not read it, when process 1 claims it.
void region_while_trimming(Schedule& run, Table& table, int process) {
  static Claim first;
  if (process == kBefore) {
    first = table.claim(name(0));
    table.give_up(table.claim(name(1)));
  } else if (process == 0) {
    run.hold(table.take(first, 4));
    run.step();
    run.hold(0);
    table.give_up(first);
  } else if (process == 1) {
    region(run, table, process);
  } else {
    table.reap(Table::Depth::kThorough);
  }
}

}  // namespace

TEST_CASE("two processes, four preemptions anywhere") {
  const int runs = explore({.processes = 2, .budget = 4, .preemptions = 4}, region);
  MESSAGE(runs << " schedules");
  CHECK(runs > 1000);
}

TEST_CASE("two processes, two preemptions and a death at any step") {
  const int runs = explore({.processes = 2, .budget = 4, .preemptions = 2, .deaths = 1}, region);
  MESSAGE(runs << " schedules");
  CHECK(runs > 1000);
}

TEST_CASE("three processes, two preemptions anywhere") {
  const int runs = explore({.processes = 3, .budget = 4, .preemptions = 2}, region);
  MESSAGE(runs << " schedules");
  CHECK(runs > 1000);
}

TEST_CASE("two and three processes that have parts of their own, preemptions and a death") {
  const int two = explore({.processes = 2, .budget = 4, .preemptions = 3, .part = 2}, region);
  const int dying =
      explore({.processes = 2, .budget = 4, .preemptions = 2, .deaths = 1, .part = 2}, region);
  const int three = explore({.processes = 3, .budget = 6, .preemptions = 2, .part = 2}, region);
  MESSAGE(two << ", " << dying << ", " << three << " schedules");
  CHECK(std::min({two, dying, three}) > 500);
}

TEST_CASE("two threads of one process do not each take its part") {
  const int runs = explore({.processes = 2, .budget = 4, .preemptions = 4}, threads_of_a_rank);
  MESSAGE(runs << " schedules");
  CHECK(runs > 500);
}

TEST_CASE(
    "what others read: exact when nobody is amid a change, and nobody vouches for what is left") {
  const auto runs = [](Size size) {
    size.publishes = true;
    return explore(size, size.processes == 3 && size.deaths == 0 ? two_regions_or_reaper : region);
  };
  const int two = runs({.processes = 2, .budget = 4, .preemptions = 4});
  const int dying = runs({.processes = 2, .budget = 4, .preemptions = 2, .deaths = 1});
  const int stopped = runs({.processes = 2, .budget = 4, .preemptions = 2, .stops = 1});
  const int three = runs({.processes = 3, .budget = 4, .preemptions = 2});
  const int three_dying = runs({.processes = 3, .budget = 4, .preemptions = 1, .deaths = 1});
  MESSAGE(two << ", " << dying << ", " << stopped << ", " << three << ", " << three_dying
              << " schedules");
  CHECK(std::min({two, dying, stopped, three, three_dying}) > 500);
}

TEST_CASE("a reaper that stalls, two processes, two preemptions and a death at any step") {
  const int runs =
      explore({.processes = 3, .budget = 4, .preemptions = 2, .deaths = 1}, region_or_reaper);
  MESSAGE(runs << " schedules");
  CHECK(runs > 1000);
}

TEST_CASE("two processes, two preemptions and a stop at any step") {
  const int runs = explore({.processes = 2, .budget = 4, .preemptions = 2, .stops = 1}, region);
  MESSAGE(runs << " schedules");
  CHECK(runs > 1000);
}

TEST_CASE("a reaper that stalls, two processes, a preemption and a stop at any step") {
  const int runs =
      explore({.processes = 3, .budget = 4, .preemptions = 1, .stops = 1}, two_regions_or_reaper);
  MESSAGE(runs << " schedules");
  CHECK(runs > 1000);
}

TEST_CASE("a reaper that stalls, a stop and a death at any step") {
  const int runs = explore({.processes = 3, .budget = 4, .preemptions = 0, .deaths = 1, .stops = 1},
                           region_or_reaper);
  MESSAGE(runs << " schedules");
  CHECK(runs > 1000);
}

TEST_CASE("a reaper that stalls while the place it means is used again") {
  const int runs = explore({.processes = 3, .budget = 4, .preemptions = 2}, region_after_reaping);
  MESSAGE(runs << " schedules");
  CHECK(runs > 1000);
}

TEST_CASE("a place claimed while sums are about to skip it") {
  const int runs = explore({.processes = 3, .budget = 4, .preemptions = 2}, region_while_trimming);
  MESSAGE(runs << " schedules");
  CHECK(runs > 500);
}

#endif
