// 10,000 births and deaths on one ledger: children take random grants while the parent kills them
// at random moments; they kill themselves inside regions, run other programs with tokens in hand,
// fork, or leave. Checked all the time: the grants that regions really run with, together, stay
// within the budget plus one for each process except one. At the end everything is free again.
// usage: stress_ledger [events]
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <string>
#include <vector>

#include "govern/ledger/ledger.h"

namespace {

using namespace corewise::govern;

constexpr int kBudget = 8;
constexpr std::size_t kChildren = 6;
// A process that finds nothing free still gets one thread: all but one may go beyond the budget.
constexpr int kMost = kBudget + static_cast<int>(kChildren) - 1;

// What a child's region runs with. Counts the changes: if two readings of all children are equal,
// all of it was true at one instant.
struct Running {
  std::atomic<std::uint64_t> change_and_threads{0};

  void set(int threads) {
    const std::uint64_t now = change_and_threads.load();
    change_and_threads.store((now >> 32 << 32) + (std::uint64_t{1} << 32) +
                             static_cast<std::uint64_t>(threads));
  }
};

using Board = std::array<Running, kChildren>;

[[noreturn]] void live(Ledger& ledger, Running& running, unsigned seed) {
  std::mt19937 random(seed);
  for (int i = 0; i < 200; ++i) {
    const Grant grant = ledger.acquire(static_cast<int>(random() % kBudget) + 1);
    if (grant.threads < 1) _exit(9);
    running.set(grant.threads);
    for (volatile auto spin = random() % 20'000; spin > 0;) spin = spin - 1;
    const auto fate = random() % 1000;
    if (fate == 0) kill(getpid(), SIGKILL);
    running.set(0);
    if (fate == 1) execl("/bin/sleep", "sleep", "0.02", nullptr);
    if (fate == 2) {
      // A grandchild, which must not give back its parent's grant.
      const pid_t grandchild = fork();
      if (grandchild == 0) {
        ledger.release(grant);
        ledger.release(ledger.acquire(3));
        _exit(0);
      }
      waitpid(grandchild, nullptr, 0);
    }
    ledger.release(grant);
  }
  _exit(0);
}

int fail(const char* what, long events) {
  std::fprintf(stderr, "FAILED after %ld events: %s\n", events, what);
  return 1;
}

// Threads of all regions at one instant; -1 if the readings differ.
int running_now(const Board& board) {
  std::array<std::uint64_t, kChildren> first{};
  std::array<std::uint64_t, kChildren> second{};
  for (std::size_t i = 0; i < kChildren; ++i) first[i] = board[i].change_and_threads.load();
  for (std::size_t i = 0; i < kChildren; ++i) second[i] = board[i].change_and_threads.load();
  if (first != second) return -1;
  int sum = 0;
  for (const std::uint64_t seen : first) sum += static_cast<int>(seen & 0xffffffff);
  return sum;
}

}  // namespace

int main(int argc, char** argv) {
  const long wanted_events = argc > 1 ? std::strtol(argv[1], nullptr, 10) : 10'000;
  LedgerOptions options;
  options.key = "stress " + std::to_string(getpid());
  options.budget = kBudget;
  options.recent.enabled = false;
  auto opened = Ledger::open(options);
  if (!opened) return fail(opened.error().what.c_str(), 0);
  Ledger& ledger = **opened;
  if (!ledger.shared()) return fail(ledger.finding().c_str(), 0);

  void* memory =
      mmap(nullptr, sizeof(Board), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return fail("no shared memory for the test", 0);
  Board& board = *new (memory) Board;

  std::mt19937 random(1);
  std::array<pid_t, kChildren> children{};
  long events = 0;
  long samples = 0;
  int worst = 0;
  // Waits for child i if it has ended; what it ran with has ended too.
  const auto gone = [&](std::size_t i, int flags) {
    int status = 0;
    if (children[i] == 0 || waitpid(children[i], &status, flags) != children[i]) return 0;
    children[i] = 0;
    board[i].set(0);
    ++events;
    return WIFEXITED(status) && WEXITSTATUS(status) == 9 ? 1 : 0;
  };
  while (events < wanted_events) {
    for (std::size_t i = 0; i < kChildren; ++i) {
      if (gone(i, WNOHANG) != 0) return fail("a grant below one thread", events);
      if (children[i] != 0) continue;
      children[i] = fork();
      if (children[i] == 0) live(ledger, board[i], static_cast<unsigned>(random()));
      ++events;
    }
    for (int sample = 0; sample < 300; ++sample) {
      int now = running_now(board);
      // A child that killed itself may still count, while another one already uses its tokens.
      for (int tries = 0; now > kBudget && tries < 5; ++tries) {
        for (std::size_t i = 0; i < kChildren; ++i) {
          if (gone(i, WNOHANG) != 0) return fail("a grant below one thread", events);
        }
        now = running_now(board);
      }
      if (now < 0) continue;
      ++samples;
      worst = std::max(worst, now);
      if (now > kMost) return fail("grants above the budget", events);
    }
    const std::size_t victim = random() % kChildren;
    if (children[victim] != 0 && random() % 2 == 0) {
      kill(children[victim], SIGKILL);
      if (gone(victim, 0) != 0) return fail("a grant below one thread", events);
    }
  }
  for (std::size_t i = 0; i < kChildren; ++i) {
    if (children[i] != 0) kill(children[i], SIGKILL);
    gone(i, 0);
  }
  int granted = 0;
  for (int tries = 0; tries < 40 && granted < kBudget; ++tries) {
    usleep(50'000);
    const Grant grant = ledger.acquire(kBudget);
    granted = grant.threads;
    ledger.release(grant);
  }
  const auto left = ledger.snapshot().entries;
  unlink(ledger.path().c_str());
  if (granted != kBudget) return fail("tokens of the dead were not returned", events);
  for (const LedgerEntry& entry : left) {
    if (entry.tokens != 0) return fail("tokens left behind", events);
  }
  if (worst < kBudget) return fail("the budget was never used up: this proved little", events);
  std::printf("%ld events, %ld samples, at most %d threads of a budget of %d\n", events, samples,
              worst, kBudget);
  return 0;
}
