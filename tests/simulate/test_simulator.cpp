// The simulator where a person can compute what must come out.
#include <doctest/doctest.h>

#include <cstring>
#include <string>

#include "simulator.h"

using namespace corewise::simulate;

namespace {

constexpr Costs kFree = {
    .slice = 0, .team = 0, .member = 0, .wake = 0, .wake_more = 0, .create = 0, .least_call = 0};

Trace trace_of(std::vector<Step> steps, int pieces = 8) {
  return {.pieces = pieces, .tasks = 1, .steps = std::move(steps)};
}

Scenario on(int cores, int processes, const Costs& costs = kFree) {
  Scenario made;
  made.cores = cores;
  made.processes = processes;
  made.costs = costs;
  return made;
}

Outcome installed(const Scenario& scenario, const Trace& trace, const Spin& spin = {}) {
  Fixed policy(scenario.cores, spin);
  return simulate(scenario, trace, policy);
}

Outcome limited(const Scenario& scenario, const Trace& trace) {
  Fixed policy(1, {});
  return simulate(scenario, trace, policy);
}

Outcome governed(const Scenario& scenario, const Trace& trace, Governed::Options options = {}) {
  options.budget = options.cores = scenario.cores;
  options.processes = scenario.processes;
  Governed policy(options, {});
  return simulate(scenario, trace, policy);
}

const Trace kOneRegion = trace_of({{1, PoolKind::kOpenmp, 2}});

}  // namespace

TEST_CASE("one process has the whole machine, or the one thread that it is limited to") {
  CHECK(installed(on(2, 1), kOneRegion).makespan_s == doctest::Approx(2));
  CHECK(governed(on(2, 1), kOneRegion).makespan_s == doctest::Approx(2));
  CHECK(limited(on(2, 1), kOneRegion).makespan_s == doctest::Approx(3));
  CHECK(installed(on(1, 1), kOneRegion).makespan_s == doctest::Approx(3));
}

TEST_CASE("two processes on two cores") {
  // All wait for the serial second; then two seconds of work each, on two cores.
  CHECK(installed(on(2, 2), kOneRegion).makespan_s == doctest::Approx(3));
  CHECK(limited(on(2, 2), kOneRegion).makespan_s == doctest::Approx(3));
  // The first takes both cores, the second gets one thread: three threads on two cores, until the
  // first is done with its second of CPU time each after 1.5 s. The other one keeps its one thread
  // for the second that is left: a grant is never raised.
  const Outcome outcome = governed(on(2, 2), kOneRegion);
  CHECK(outcome.makespan_s == doctest::Approx(1 + 1.5 + 1));
  CHECK(outcome.granted == 3);
  CHECK(outcome.work_s == doctest::Approx(6));
  CHECK(outcome.utilisation(2) == doctest::Approx(6 / 7.0));
  CHECK(outcome.most_runnable == 3);
  CHECK(outcome.runnable_s == doctest::Approx(2 * 1 + 3 * 1.5 + 1));
}

TEST_CASE("what is renewed gets its share while it runs") {
  // Both have one core from the first renewal on.
  const Outcome outcome = governed(on(2, 2), kOneRegion, {.renews = true});
  CHECK(outcome.makespan_s == doctest::Approx(3).epsilon(0.02));
  CHECK(outcome.work_s == doctest::Approx(6));
  CHECK(outcome.granted == 3);
  // Nothing to gain for one that is alone.
  CHECK(governed(on(2, 1), kOneRegion, {.renews = true}).makespan_s == doctest::Approx(2));
}

TEST_CASE("ranks wait for the one that has most to do") {
  Scenario ranks = on(2, 2);
  ranks.regions = 1;
  ranks.barriers = 2;
  ranks.times_of_first = 3;
  const Trace trace = trace_of({{0, PoolKind::kOpenmp, 2}});
  // Twice three regions of two seconds on one core.
  CHECK(limited(ranks, trace).makespan_s == doctest::Approx(12));
  Shares by_load(2, 1, {});
  CHECK(simulate(ranks, trace, by_load).makespan_s < 12);
  // The second rank waits after its region, and leaves its core to the first.
  const Outcome outcome = governed(ranks, trace, {.part = 1});
  CHECK(outcome.makespan_s <= 9);
  CHECK(outcome.first_s == outcome.makespan_s);
  CHECK(outcome.regions == 8);
  CHECK(outcome.work_s == doctest::Approx(16));
}

TEST_CASE("who weighs more ends earlier, and all together not much later") {
  Scenario four = on(8, 4);
  four.rounds = 20;
  const Trace trace = trace_of({{0, PoolKind::kOpenmp, 1}});
  const Outcome even = governed(four, trace);
  const Outcome heavy = governed(four, trace, {.weight_of_first = 40});
  CHECK(even.first_s == doctest::Approx(even.makespan_s).epsilon(0.1));
  CHECK(heavy.first_s < 0.6 * even.first_s);
  CHECK(heavy.makespan_s < 1.2 * even.makespan_s);
}

TEST_CASE("a region cannot be divided into more pieces than it has") {
  const Trace trace = trace_of({{0, PoolKind::kOpenmp, 4}}, 2);
  CHECK(installed(on(16, 1), trace).makespan_s == doctest::Approx(2));
  Costs costs = kFree;
  costs.least_call = 1.5;
  const Trace call = trace_of({{0, PoolKind::kBlas1, 4}});
  CHECK(installed(on(16, 1, costs), call).makespan_s == doctest::Approx(2));
  costs.least_call = 3;
  const Outcome alone = installed(on(16, 1, costs), call);
  CHECK(alone.makespan_s == doctest::Approx(4));
  CHECK(alone.most_runnable == 1);
}

TEST_CASE("a team whose members have no CPU waits a slice for them") {
  Costs costs = kFree;
  costs.slice = 4e-3;
  CHECK(stall_seconds(costs, {2, 0, 0}, 2) == 0);
  CHECK(stall_seconds(costs, {3, 0, 0}, 2) == doctest::Approx(4e-3));
  CHECK(stall_seconds(costs, {4, 0, 0}, 2) == doctest::Approx(4e-3));
  CHECK(stall_seconds(costs, {16, 0, 0}, 2) == doctest::Approx(28e-3));
  // Who spins leaves the CPU after a slice too, or earlier.
  CHECK(stall_seconds(costs, {2, 1, 0.1}, 2) == doctest::Approx(4e-3));
  CHECK(stall_seconds(costs, {2, 1, 1e-5}, 2) == doctest::Approx(1e-5));
  CHECK(stall_seconds(costs, {4, 1, 1e-5}, 2) == doctest::Approx(4e-3 + 1e-5));
  // The first sees three threads, so that 4 ms are 8/3 ms of its CPU time; the second sees four, so
  // that they are 2 ms, and it ends after 2.004 s.
  CHECK(installed(on(2, 2, costs), kOneRegion).makespan_s ==
        doctest::Approx(1 + 2.004 + (8.0 / 3 - 2) * 1e-3));
  // Threads that are in no team only take turns.
  CHECK(limited(on(1, 2, costs), kOneRegion).makespan_s == doctest::Approx(6));
}

TEST_CASE("idle workers spin for a while, beside those who work") {
  const Trace trace = trace_of({{0, PoolKind::kBlas1, 1}, {0, PoolKind::kBlas2, 1}});
  CHECK(installed(on(2, 1), trace).makespan_s == doctest::Approx(1));
  // 0.5 s; then three threads on two cores until the worker of the first pool had its 0.1 s.
  CHECK(installed(on(2, 1), trace, {0, 0.1}).makespan_s == doctest::Approx(0.5 + 0.15 + 0.4));
  // The same pool uses its own.
  const Trace same = trace_of({{0, PoolKind::kBlas1, 1}, {0.2, PoolKind::kBlas1, 1}});
  CHECK(installed(on(2, 1), same, {0, 0.5}).most_runnable == 2);
  Costs costs = kFree;
  costs.wake = 0.25;
  CHECK(installed(on(2, 1, costs), same, {0, 0.5}).makespan_s == doctest::Approx(1.2 + 0.25));
  CHECK(installed(on(2, 1, costs), same, {0, 0.1}).makespan_s == doctest::Approx(1.2 + 2 * 0.25));
}

TEST_CASE("a process's pools wait for each other when it turns from one to the other") {
  Costs costs = kFree;
  costs.slice = 0.25;
  const Step first{0, PoolKind::kBlas1, 0.2};
  const Step second{0, PoolKind::kBlas2, 0.2};
  const auto took = [&](std::vector<Step> steps) {
    // A worker of the other pool spins all the time, so that three threads share two cores.
    return installed(on(2, 1, costs), trace_of(std::move(steps)), {0, 10}).makespan_s;
  };
  const double region = 0.1 * 1.5;
  CHECK(took({first, first}) == doctest::Approx(2 * 0.1));
  CHECK(took({first, second}) == doctest::Approx(0.1 + 0.25 + region));
  CHECK(took({first, second, second}) == doctest::Approx(0.1 + 0.25 + 2 * region));
  CHECK(took({first, second, first}) == doctest::Approx(0.1 + 2 * (0.25 + region)));
}

TEST_CASE("what a team costs") {
  const Costs costs = {.slice = 0,
                       .team = 1,
                       .member = 0.1,
                       .wake = 10,
                       .wake_more = 2,
                       .create = 100,
                       .least_call = 0};
  CHECK(team_seconds(costs, {1, 8, 0, 0}, 64) == 64);
  CHECK(team_seconds(costs, {2, 8, 0, 0}, 64) == doctest::Approx(32 + 1));
  CHECK(team_seconds(costs, {16, 8, 0, 0}, 64) == doctest::Approx(8 + 1 + 1.4));
  CHECK(team_seconds(costs, {4, 8, 3, 0}, 64) == doctest::Approx(16 + 1.2 + 14));
  CHECK(team_seconds(costs, {4, 8, 1, 2}, 64) == doctest::Approx(16 + 1.2 + 10 + 200));
  // libgomp lets go of workers that a smaller team has no use for, and makes them again.
  const Trace trace = trace_of({{0, PoolKind::kOpenmp, 1}});
  Costs creating = kFree;
  creating.create = 1;
  Scenario thrice = on(4, 1, creating);
  thrice.rounds = 3;
  CHECK(installed(thrice, trace).makespan_s == doctest::Approx(3 * 0.25 + 3));
}

TEST_CASE("the same for the same input to the last bit, another for another seed") {
  std::vector<Step> steps;
  for (int i = 1; i <= 50; ++i) {
    steps.push_back({1e-5 * (i % 7), static_cast<PoolKind>(i % kPoolKinds), 3e-5 * (i % 11)});
  }
  const Trace trace = trace_of(steps);
  Scenario scenario = on(64, 100, Costs{});
  scenario.regions = 40;
  const auto bits = [&](std::uint64_t seed) {
    scenario.seed = seed;
    const Outcome outcome = governed(scenario, trace);
    std::string text(sizeof outcome, '\0');
    std::memcpy(text.data(), &outcome, sizeof outcome);
    return text;
  };
  CHECK(bits(1) == bits(1));
  CHECK(bits(1) != bits(2));
}

TEST_CASE("a trace is read whole or not at all") {
  std::string why;
  const auto trace = parse_trace(
      "# a remark\n# tasks 3\n# pieces 79\n"
      "1000,omp,5000\n10,blas2,20\n7,-,0\n",
      why);
  REQUIRE(trace);
  CHECK(trace->tasks == 3);
  CHECK(trace->pieces == 79);
  REQUIRE(trace->steps.size() == 3);
  CHECK(trace->steps[1].pool == PoolKind::kBlas2);
  CHECK(trace->serial_seconds() == doctest::Approx(6.037e-6));
  for (const char* wrong :
       {"", "# tasks 3\n", "1,omp\n", "1,omp,2,3\n", "-1,omp,2\n", "1,tbb,2\n", "1,omp,x\n",
        "# pieces 0\n1,omp,2\n", "# tasks x\n1,omp,2\n", "0,-,0\n"}) {
    CAPTURE(wrong);
    why.clear();
    CHECK(!parse_trace(wrong, why));
    CHECK(!why.empty());
  }
}
