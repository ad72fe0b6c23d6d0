// The plan's promises on random input, its policy on chosen input, and its refusals.
#include <doctest/doctest.h>

#include <limits>
#include <random>

#include "advice/caller_slots.h"
#include "advice/plan.h"
#include "read_json.h"

using namespace corewise;

namespace {

PoolFacts openblas(int slots = 128, int ceiling = 64) {
  PoolFacts pool;
  pool.runtime = "openblas";
  pool.path = "/x/libscipy_openblas.so";
  pool.ceiling = ceiling;
  pool.caller_slots = slots;
  return pool;
}

PoolFacts openmp() {
  PoolFacts pool;
  pool.api = CW_API_OPENMP;
  pool.runtime = "libgomp";
  pool.path = "/x/libgomp.so";
  return pool;
}

Plan plan_of(const PlanInput& input) {
  auto plan = make_plan(input);
  REQUIRE(plan);
  return *plan;
}

std::string shape(const PlanInput& input) {
  const Plan plan = plan_of(input);
  return std::to_string(plan.processes.count) + "x" + std::to_string(plan.openmp.count) + "x" +
         std::to_string(plan.blas.count);
}

PlanInput input_of(double cpus, int processes, Wishes wishes, std::vector<PoolFacts> pools) {
  PlanInput input;
  input.cpus = cpus;
  input.processes = processes;
  input.wishes = wishes;
  input.pools = std::move(pools);
  return input;
}

class RandomInput {
 public:
  explicit RandomInput(unsigned seed) : random_(seed) {}

  PlanInput next() {
    PlanInput input;
    input.cpus = below(4) == 0 ? below(1000) / 100.0 + 0.01 : below(2000) / 4.0 + 0.25;
    input.processes = below(3) == 0 ? 0 : below(300);
    input.wishes = {wish(), wish(), wish()};
    for (int pools = below(5); pools > 0; --pools) input.pools.push_back(pool());
    input.environment = {{"OMP_NUM_THREADS", CW_API_OPENMP},
                         {"OPENBLAS_NUM_THREADS", CW_API_BLAS},
                         {"OMP_NUM_THREADS", CW_API_BLAS},
                         {"POLARS_MAX_THREADS", CW_API_ARROW}};
    return input;
  }

 private:
  int below(int n) { return static_cast<int>(random_() % static_cast<unsigned>(n)); }
  std::optional<int> wish() {
    if (below(2) == 0) return std::nullopt;
    return 1 + (below(2) == 0 ? below(8) : below(400));
  }
  PoolFacts pool() {
    PoolFacts pool = below(2) == 0 ? openblas(0, 0) : openmp();
    if (below(2) == 0) pool.ceiling = 1 + below(130);
    if (pool.api == CW_API_BLAS && below(2) == 0) pool.caller_slots = 1 + below(200);
    if (pool.caller_slots > 0 && below(2) == 0) pool.threads = 1 + below(130);
    if (below(6) == 0) pool.api = CW_API_TBB;
    return pool;
  }

  std::mt19937 random_;
};

int narrowest(const PlanInput& input) {
  int slots = std::numeric_limits<int>::max();
  for (const PoolFacts& pool : input.pools) {
    if (pool.caller_slots > 0) slots = std::min(slots, pool.caller_slots);
  }
  return slots;
}

void check_promises(const PlanInput& input, const Plan& plan) {
  const int processes = plan.processes.count;
  const int openmp = plan.openmp.count;
  const int blas = plan.blas.count;
  REQUIRE(processes >= 1);
  REQUIRE(openmp >= 1);
  REQUIRE(blas >= 1);
  REQUIRE(plan.threads == processes * openmp * blas);
  REQUIRE(plan.threads <= std::max(1, static_cast<int>(input.cpus + 1e-9)));
  REQUIRE(plan.unused == plan.floor - plan.threads);
  if (input.processes > 0) REQUIRE(processes <= input.processes);
  if (input.wishes.processes) REQUIRE(processes <= *input.wishes.processes);
  if (input.wishes.openmp) REQUIRE(openmp <= *input.wishes.openmp);
  if (input.wishes.blas) REQUIRE(blas <= *input.wishes.blas);
  REQUIRE(openmp + blas - 1 <= narrowest(input));
  for (const PoolFacts& pool : input.pools) {
    if (pool.caller_slots > 0)
      REQUIRE(openmp <= callers_that_fit(pool.caller_slots, std::max(0, pool.threads - 1)));
  }
  for (const PlanLevel* level : {&plan.processes, &plan.openmp, &plan.blas}) {
    REQUIRE_FALSE(level->reason.empty());
  }
  for (const PlanVariable& variable : plan.environment) REQUIRE(variable.value >= 1);
  REQUIRE(plan.limits.size() == input.pools.size());
  for (std::size_t i = 0; i < plan.limits.size(); ++i) {
    const int ceiling = input.pools[i].ceiling;
    REQUIRE(plan.limits[i].threads >= 1);
    REQUIRE(plan.limits[i].threads <= (plan.limits[i].api == CW_API_BLAS ? blas : openmp));
    if (ceiling > 0) REQUIRE(plan.limits[i].threads <= ceiling);
  }
}

}  // namespace

TEST_CASE("promises hold on 30,000 random inputs, and the answer is always the same") {
  RandomInput random(20261122);
  for (int round = 0; round < 30000; ++round) {
    const PlanInput input = random.next();
    const Plan plan = plan_of(input);
    check_promises(input, plan);
    REQUIRE(plan_json(plan) == plan_json(plan_of(input)));
  }
}

TEST_CASE("no factor falls when the budget rises, on 20,000 random inputs") {
  RandomInput random(7);
  std::mt19937 more(8);
  for (int round = 0; round < 20000; ++round) {
    PlanInput input = random.next();
    const Plan less = plan_of(input);
    input.cpus += static_cast<double>(more() % 400) / 16;
    const Plan greater = plan_of(input);
    REQUIRE(greater.processes.count >= less.processes.count);
    REQUIRE(greater.threads >= less.threads);
    REQUIRE(greater.openmp.count >= less.openmp.count);
    REQUIRE(greater.blas.count >= less.blas.count);
  }
}

TEST_CASE("OpenMP gets the share, BLAS is sequential inside it") {
  const std::vector<PoolFacts> both = {openmp(), openblas()};
  CHECK(shape(input_of(8, 0, {}, {})) == "1x8x1");
  CHECK(shape(input_of(8, 0, {}, both)) == "1x8x1");
  CHECK(shape(input_of(8, 4, {}, both)) == "4x2x1");
  CHECK(shape(input_of(8, 3, {}, both)) == "3x2x1");
  CHECK(plan_of(input_of(8, 3, {}, both)).unused == 2);
  CHECK(shape(input_of(7.9, 2, {}, both)) == "2x3x1");
  CHECK(shape(input_of(0.5, 0, {}, both)) == "1x1x1");
  CHECK(shape(input_of(4, 9, {}, both)) == "4x1x1");
}

TEST_CASE("BLAS gets the share where it is alone") {
  CHECK(shape(input_of(8, 0, {}, {openblas()})) == "1x1x8");
  CHECK(shape(input_of(8, 2, {}, {openblas()})) == "2x1x4");
  CHECK(shape(input_of(128, 0, {}, {openblas(128, 64)})) == "1x1x64");
  CHECK(shape(input_of(128, 0, {}, {openblas(128, 64), openblas(256, 96)})) == "1x1x96");
  CHECK(shape(input_of(8, 0, {}, {openmp()})) == "1x8x1");
}

TEST_CASE("the seed's machine: 128 cores, callers within OpenBLAS's slots") {
  const std::vector<PoolFacts> stock = {openmp(), openblas(128), openblas(128)};
  CHECK(shape(input_of(128, 0, {}, stock)) == "1x128x1");
  CHECK(shape(input_of(256, 0, {}, stock)) == "1x128x1");
  CHECK(shape(input_of(256, 0, {}, {openmp(), openblas(50), openblas(128)})) == "1x50x1");
  CHECK(shape(input_of(256, 2, {}, stock)) == "2x128x1");
  // BLAS workers hold slots too.
  CHECK(shape(input_of(1024, 0, {{}, {}, 4}, stock)) == "1x125x4");
  CHECK(plan_of(input_of(256, 0, {}, stock)).openmp.reason.find("128 calls") != std::string::npos);
  // Those that run already too: what the doctor says of them.
  std::vector<PoolFacts> loaded = stock;
  loaded[1].threads = 32;
  CHECK(shape(input_of(128, 0, {}, loaded)) == "1x97x1");
  CHECK(plan_of(input_of(128, 0, {}, loaded)).openmp.reason.find("its 31 workers included") !=
        std::string::npos);
}

TEST_CASE("wishes are bounds, and the one named is served first") {
  CHECK(shape(input_of(32, 0, {{}, 8, 4}, {})) == "1x8x4");
  CHECK(shape(input_of(16, 0, {{}, 8, 4}, {})) == "1x8x2");
  CHECK(shape(input_of(32, 0, {{}, 8, {}}, {})) == "1x8x1");
  CHECK(shape(input_of(32, 0, {{}, {}, 4}, {})) == "1x8x4");
  CHECK(shape(input_of(2, 0, {{}, {}, 4}, {})) == "1x1x2");
  CHECK(shape(input_of(32, 0, {4, {}, {}}, {})) == "4x8x1");
  CHECK(shape(input_of(32, 8, {4, {}, {}}, {})) == "4x8x1");
  CHECK(shape(input_of(32, 2, {4, {}, {}}, {})) == "2x16x1");
  CHECK(shape(input_of(32, 0, {{}, {}, 4}, {openmp()})) == "1x32x1");
}

TEST_CASE("the environment takes each variable once, with the smaller count") {
  PlanInput input = input_of(8, 2, {}, {});
  input.environment = {{"OMP_NUM_THREADS", CW_API_OPENMP},
                       {"OPENBLAS_NUM_THREADS", CW_API_BLAS},
                       {"NUMBA_NUM_THREADS", CW_API_NUMBA},
                       {"BLIS_NUM_THREADS", CW_API_BLAS},
                       {"NUMBA_NUM_THREADS", CW_API_BLAS}};
  const Plan plan = plan_of(input);
  REQUIRE(plan.environment.size() == 4);
  CHECK(plan.environment[0].name == "OMP_NUM_THREADS");
  CHECK(plan.environment[0].value == 4);
  CHECK(plan.environment[1].value == 1);
  CHECK(plan.environment[2].value == 1);
}

TEST_CASE("limits respect each pool's own ceiling") {
  const Plan plan = plan_of(input_of(96, 0, {}, {openblas(0, 64), openblas(0, 128)}));
  CHECK(plan.blas.count == 96);
  CHECK(plan.limits[0].threads == 64);
  CHECK(plan.limits[0].reason == "the most this pool was built for");
  CHECK(plan.limits[1].threads == 96);
}

TEST_CASE("a pool without count and width takes no part, and a governed copy bounds no caller") {
  PoolFacts workqueue = openmp();
  workqueue.scope = CW_SCOPE_NONE;
  CHECK(shape(input_of(8, 0, {}, {workqueue, openblas()})) == "1x1x8");
  CHECK(plan_of(input_of(8, 0, {}, {workqueue, openblas()})).limits.size() == 1);
  CHECK(shape(input_of(256, 0, {}, {openmp(), openblas()})) == "1x128x1");
  PoolFacts governed = openblas();
  governed.governed = true;
  CHECK(shape(input_of(256, 0, {}, {openmp(), governed})) == "1x256x1");
}

TEST_CASE("nonsense is refused with a reason") {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  for (const double cpus : {0.0, -1.0, nan, std::numeric_limits<double>::infinity()}) {
    const auto plan = make_plan(input_of(cpus, 0, {}, {}));
    REQUIRE_FALSE(plan);
    CHECK(plan.error().status == CW_BAD_ARGUMENT);
  }
  CHECK(make_plan(input_of(4, -1, {}, {})).error().status == CW_BAD_COUNT);
  CHECK(make_plan(input_of(4, CW_MAX_THREADS + 1, {}, {})).error().status == CW_BAD_COUNT);
  for (const int wish : {0, -5, CW_MAX_THREADS + 1}) {
    CHECK_FALSE(make_plan(input_of(4, 0, {wish, {}, {}}, {})));
    CHECK_FALSE(make_plan(input_of(4, 0, {{}, wish, {}}, {})));
    const auto plan = make_plan(input_of(4, 0, {{}, {}, wish}, {}));
    REQUIRE_FALSE(plan);
    CHECK(plan.error().what.find("blas=" + std::to_string(wish)) != std::string::npos);
  }
  CHECK(shape(input_of(1e9, 0, {}, {})) == "1x32768x1");
}

TEST_CASE("the JSON says the same") {
  PlanInput input = input_of(8, 2, {}, {openmp(), openblas()});
  input.environment = {{"OMP_NUM_THREADS", CW_API_OPENMP}};
  const auto json = test::JsonReader::read(plan_json(plan_of(input)));
  CHECK(json.at("threads").number() == 8);
  CHECK(json.at("levels").items.size() == 3);
  CHECK(json.at("levels").items[1].at("count").number() == 4);
  CHECK(json.at("environment").at("OMP_NUM_THREADS").text == "4");
  CHECK(json.at("limits").items[1].at("api").text == "blas");
}
