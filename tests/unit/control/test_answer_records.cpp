// What the process writes is what a client reads, in both directions.
#include <doctest/doctest.h>

#include <string>

#include "control/answer_records.h"
#include "control/request.h"
#include "observe/sample_record.h"

using namespace corewise;
using control::Request;

namespace {

JsonValue parsed(const std::string& line) {
  auto answer = control::read_answer(line);
  REQUIRE(answer);
  return *std::move(answer);
}

PoolFacts openblas() {
  PoolFacts pool;
  pool.id = 3;
  pool.runtime = "openblas";
  pool.threads = 8;
  pool.scope = CW_SCOPE_THREAD;
  pool.ceiling = 64;
  pool.caller_slots = 128;
  pool.prefix = "libopenblas";
  pool.path = "/lib/\xff\"libopenblas.so";
  pool.version = "0.3.29";
  pool.layer = "pthreads";
  pool.architecture = "Haswell";
  pool.detail = "a detail";
  return pool;
}

// Whole again after a way there and back: every key of one that has them all, and of one that has
// none.
template <class Record>
void check_way(const Record& full) {
  CHECK(Record::read(parsed(full.json())).json() == full.json());
  CHECK(Record::read(parsed(Record().json())).json() == Record().json());
}

}  // namespace

TEST_CASE("records: a request is read as it was written") {
  const std::vector<Rule> rules = {{CW_MATCH_API, "blas", 0, 4}, {CW_MATCH_NAME, "libgomp", 0, 2}};
  for (const Request& request :
       {Request{.command = Request::Command::kInfo},
        Request{.command = Request::Command::kLimit, .rules = rules, .dry_run = true},
        Request{.command = Request::Command::kRestore},
        Request{.command = Request::Command::kGovern, .budget = 3},
        Request{.command = Request::Command::kUngovern},
        Request{.command = Request::Command::kReport},
        Request{.command = Request::Command::kSample, .each = true}}) {
    const std::string line = to_json(request);
    CAPTURE(line);
    const auto read = control::read_request(line);
    REQUIRE(read);
    CHECK(read->command == request.command);
    CHECK(read->dry_run == request.dry_run);
    CHECK(read->each == request.each);
    CHECK(read->budget == request.budget);
    REQUIRE(read->rules.size() == request.rules.size());
    for (std::size_t i = 0; i < rules.size() && !read->rules.empty(); ++i) {
      CHECK(read->rules[i].match == rules[i].match);
      CHECK(read->rules[i].name == rules[i].name);
      CHECK(read->rules[i].threads == rules[i].threads);
    }
  }
}

TEST_CASE("records: a refusal is read as its error") {
  const auto read = control::read_answer(control::refusal(CW_BAD_COUNT, "too \"many\""));
  REQUIRE_FALSE(read);
  CHECK(read.error().status == CW_BAD_COUNT);
  CHECK(read.error().what == "too \"many\"");
}

TEST_CASE("records: answers are read as they were written") {
  check_way(control::InfoAnswer{7, "0.1", true, true, {{openblas(), 2}, {PoolFacts(), 0}}});
  const control::PoolOutcome outcome{3, "blas", "openblas", "/x", 4, 8, 4, 5, "all", "why"};
  check_way(control::LimitAnswer{7, true, true, {outcome, {}}, {"tbb", ""}});
  check_way(control::RestoreAnswer{7, {outcome, {}}});
  const auto governed = control::GovernAnswer::read(parsed(control::governed_json(
      7, true, true,
      R"({"budget":4,"pools":[{"path":"/x","how":"gate"}],"findings":["one"],"regions":9})")));
  CHECK(governed.governed);
  CHECK(governed.ended);
  CHECK(governed.report.budget == 4);
  REQUIRE(governed.report.pools.size() == 1);
  CHECK(governed.report.pools[0].path == "/x");
  CHECK(governed.report.pools[0].how == "gate");
  CHECK(governed.report.findings == std::vector<std::string>{"one"});
}

TEST_CASE("records: force has nothing to limit later, a process that answers has") {
  control::LimitAnswer answer;
  CHECK(answer.taken());
  answer.forced = true;
  CHECK_FALSE(answer.taken());
  answer.outcomes.emplace_back();
  CHECK(answer.taken());
  answer.outcomes.emplace_back().reason = "why";
  CHECK_FALSE(answer.taken());
}

TEST_CASE("records: a sample is read as it was written") {
  observe::Sample sample;
  sample.pid = 7;
  sample.time_s = 12.5;
  sample.governed = true;
  sample.budget = {1.5, 1};
  sample.ledger = {4, 3, 2, 1, "key"};
  sample.throttled = {9, 8, 0.25};
  sample.all = {5, 2, 1.5, 0.5};
  sample.pools = {{openblas(), 2, 3, 4, {2, 1, 0.25, 0.125}, 1}, {}};
  sample.libraries = {{"polars", "/p/polars.so", {3, 1, 0.5, 0.25}}};
  sample.program = {3, 1, 1.25, 0.25};
  sample.unknown = {0, 0, 0, 0};
  sample.each = {{11, 99, 'R', 3, "/lib/x.so", 0.5, 0.25}, {}};
  for (const observe::Sample& each : {sample, observe::Sample()}) {
    CHECK(to_json(observe::read_sample(parsed(to_json(each)))) == to_json(each));
  }
  const auto pool = observe::read_sample(parsed(to_json(sample))).pools[0];
  CHECK(pool.facts.path == openblas().path);
  CHECK(pool.facts.scope == CW_SCOPE_THREAD);
  CHECK(pool.spinning == 1);
  CHECK_FALSE(observe::read_sample(parsed(to_json(observe::Sample()))).budget.has_value());
}
