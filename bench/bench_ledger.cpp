// What a grant costs: acquire and release alone, with other holders in the table, and against other
// threads and processes. The target is 200 ns for one thread undisturbed.
#include <benchmark/benchmark.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "base/clock.h"
#include "govern/ledger/ledger.h"
#include "govern/machine/machine_share.h"

namespace {

using corewise::govern::Grant;
using corewise::govern::Ledger;
using corewise::govern::LedgerOptions;

LedgerOptions options(const std::string& key, bool recent) {
  LedgerOptions made;
  made.key = "bench " + key + std::to_string(getpid());
  made.budget = 8;
  made.recent.enabled = recent;
  return made;
}

// A ledger whose file is removed when the benchmark ends.
struct Fixture {
  explicit Fixture(const LedgerOptions& options) : ledger(std::move(*Ledger::open(options))) {}
  Fixture(const Fixture&) = delete;
  Fixture& operator=(const Fixture&) = delete;
  ~Fixture() { unlink(ledger->path().c_str()); }
  std::unique_ptr<Ledger> ledger;
};

void take_turns(benchmark::State& state, Ledger& ledger) {
  for (auto _ : state) {
    const Grant grant = ledger.acquire(4);
    benchmark::DoNotOptimize(grant.threads);
    ledger.release(grant);
  }
}

void alone(benchmark::State& state) {
  const Fixture fixture(options("alone", true));
  take_turns(state, *fixture.ledger);
}
BENCHMARK(alone);

// As a granter of a user who shares the machine: it publishes, and looks at the others' pages.
void alone_sharing(benchmark::State& state) {
  const Fixture fixture(options("sharing", true));
  std::string folder = "/dev/shm/corewise-bench-XXXXXX";
  if (mkdtemp(folder.data()) == nullptr) return state.SkipWithError("no folder");
  std::string finding;
  auto* const share = corewise::govern::MachineShare::open(folder, "bench", 8, finding);
  if (share == nullptr) return state.SkipWithError(finding.c_str());
  fixture.ledger->publish_in(&share->sums());
  for (auto _ : state) {
    fixture.ledger->keep_within(share->most(corewise::now_ms()));
    const Grant grant = fixture.ledger->acquire(4);
    benchmark::DoNotOptimize(grant.threads);
    fixture.ledger->release(grant);
  }
  std::filesystem::remove_all(folder);
}
BENCHMARK(alone_sharing);

void alone_tokens_only(benchmark::State& state) {
  const Fixture fixture(options("tokens", false));
  take_turns(state, *fixture.ledger);
}
BENCHMARK(alone_tokens_only);

// Other processes hold places and sleep.
void among_processes(benchmark::State& state) {
  const Fixture fixture(options("among", true));
  std::vector<pid_t> others;
  for (int i = 0; i < state.range(0); ++i) {
    const pid_t pid = fork();
    if (pid == 0) {
      fixture.ledger->release(fixture.ledger->acquire(1));
      for (;;) pause();
    }
    others.push_back(pid);
  }
  usleep(100'000);
  take_turns(state, *fixture.ledger);
  for (const pid_t pid : others) {
    kill(pid, SIGKILL);
    waitpid(pid, nullptr, 0);
  }
}
BENCHMARK(among_processes)->Arg(1)->Arg(16)->Arg(128);

std::unique_ptr<Fixture> between_threads;

void threads(benchmark::State& state) { take_turns(state, *between_threads->ledger); }
BENCHMARK(threads)
    ->Threads(2)
    ->UseRealTime()
    ->Setup([](const benchmark::State&) {
      between_threads = std::make_unique<Fixture>(options("threads", true));
    })
    ->Teardown([](const benchmark::State&) { between_threads.reset(); });

// Another process takes grants without pause.
void against_process(benchmark::State& state) {
  const Fixture fixture(options("against", true));
  const pid_t other = fork();
  if (other == 0) {
    for (;;) fixture.ledger->release(fixture.ledger->acquire(4));
  }
  usleep(10'000);
  take_turns(state, *fixture.ledger);
  kill(other, SIGKILL);
  waitpid(other, nullptr, 0);
}
BENCHMARK(against_process)->UseRealTime();

// Others hold the budget: each grant is short, and now and then looks for the dead.
void exhausted(benchmark::State& state) {
  const Fixture fixture(options("exhausted", false));
  const pid_t other = fork();
  if (other == 0) {
    fixture.ledger->acquire(8);
    for (;;) pause();
  }
  usleep(50'000);
  take_turns(state, *fixture.ledger);
  kill(other, SIGKILL);
  waitpid(other, nullptr, 0);
}
BENCHMARK(exhausted);

void first_in_a_child(benchmark::State& state) {
  const Fixture fixture(options("first", true));
  for (auto _ : state) {
    // Opening takes longer than the claim. A new ledger object is a process without a place.
    state.PauseTiming();
    auto ledger = std::move(*Ledger::open(options("first", true)));
    state.ResumeTiming();
    ledger->release(ledger->acquire(4));
    state.PauseTiming();
    ledger.reset();
    state.ResumeTiming();
  }
}
BENCHMARK(first_in_a_child);

}  // namespace

BENCHMARK_MAIN();
