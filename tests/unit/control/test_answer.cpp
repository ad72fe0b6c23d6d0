// What each request of the control socket does, and the line that answers it.
#include <doctest/doctest.h>
#include <unistd.h>

#include <string>
#include <string_view>
#include <thread>

#include "base/json_reader.h"
#include "control/answer.h"
#include "ledger_fixture.h"
#include "stub_pool.h"

using namespace corewise;
using test::stub_pool;

namespace {

JsonValue asked(std::string_view request) {
  const auto read = read_json(control::answer(request));
  REQUIRE(read);
  CHECK(read->number_at("schema_version") == 1);
  return *read;
}

std::string error_of(std::string_view request) {
  const JsonValue read = asked(request);
  const JsonValue* const error = read.find("error");
  return error != nullptr ? error->text_at("kind") : "";
}

Pool& blis(int count) {
  Pool& pool = stub_pool("libblis.so");
  pool.runtime->set(pool, count);
  return pool;
}

int threads(const Pool& pool) { return pool.ask_threads().value_or(0); }

}  // namespace

TEST_CASE("answer: info lists the pools, and is of this process") {
  const Pool& pool = blis(5);
  const JsonValue read = asked(R"({"request":"info"})");
  CHECK(read.number_at("pid") == ::getpid());
  CHECK_FALSE(read.truth_at("governed"));
  REQUIRE(read.items_at("pools").size() == pool_count());
  const JsonValue& told = read.items_at("pools")[pool.id];
  CHECK(told.text_at("runtime") == "blis");
  CHECK(told.number_at("threads") == 5);
  REQUIRE(told.find("limit") != nullptr);
  CHECK(told.find("limit")->kind == JsonValue::Kind::kNull);
}

TEST_CASE("answer: a dry run says what would be, and changes nothing") {
  const Pool& pool = blis(5);
  const JsonValue read = asked(R"({"request":"limit","limits":{"blas":2},"dry_run":true})");
  CHECK(read.truth_at("dry_run"));
  REQUIRE(read.items_at("outcomes").size() == 1);
  const JsonValue& told = read.items_at("outcomes")[0];
  CHECK(told.number_at("before") == 5);
  CHECK(told.number_at("after") == 2);
  CHECK(threads(pool) == 5);
}

TEST_CASE("answer: a limit holds until it is restored, and the latest of a name counts") {
  const Pool& pool = blis(5);
  asked(R"({"request":"limit","limits":{"blas":2}})");
  CHECK(threads(pool) == 2);
  asked(R"({"request":"limit","limits":{"blas":3}})");
  CHECK(threads(pool) == 3);
  const JsonValue read = asked(R"({"request":"restore"})");
  REQUIRE(read.items_at("restored").size() == 1);
  CHECK(read.items_at("restored")[0].number_at("before") == 3);
  CHECK(read.items_at("restored")[0].number_at("after") == 5);
  CHECK(threads(pool) == 5);
  CHECK(asked(R"({"request":"restore"})").items_at("restored").empty());
}

TEST_CASE("answer: a name that no pool has is told, and the others are limited") {
  const Pool& pool = blis(5);
  const JsonValue read = asked(R"({"request":"limit","limits":{"blas":2,"tbb":1}})");
  REQUIRE(read.items_at("not_loaded").size() == 1);
  CHECK(read.items_at("not_loaded")[0].text == "tbb");
  CHECK(threads(pool) == 2);
  asked(R"({"request":"restore"})");
}

TEST_CASE("answer: what makes no sense is refused with its kind, and changes nothing") {
  const Pool& pool = blis(5);
  CHECK(error_of("no JSON") == "bad argument");
  CHECK(error_of(R"({"request":"limit","limits":{"blas":0}})") == "bad count");
  CHECK(error_of(R"({"request":"limit","limits":{"nonsense":2}})") == "unknown name");
  CHECK(error_of(R"({"request":"govern","budget":0})") == "bad count");
  CHECK(threads(pool) == 5);
}

TEST_CASE("answer: a refused request to govern leaves in force what was") {
  CHECK(test::in_child([] {
          const auto is_governed = [](std::string_view request) {
            return read_json(control::answer(request))->truth_at("governed");
          };
          if (!is_governed(R"({"request":"govern","budget":1})")) return 1;
          if (error_of(R"({"request":"govern","budget":20000})").empty()) return 2;
          if (!is_governed(R"({"request":"report"})")) return 3;
          const auto ended = read_json(control::answer(R"({"request":"ungovern"})"));
          return ended->truth_at("ended") && !ended->truth_at("governed") ? 0 : 4;
        }) == 0);
}

TEST_CASE("answer: two threads may answer at once") {
  CHECK(test::in_child([] {
          blis(5);
          const auto ask = [] {
            for (int i = 0; i < 300; ++i) {
              control::answer(R"({"request":"limit","limits":{"blas":2,"openmp":3,"tbb":1}})");
              control::answer(R"({"request":"restore"})");
            }
          };
          std::thread other(ask);
          ask();
          other.join();
          return 0;
        }) == 0);
}

TEST_CASE("answer: nothing that was not begun over the socket is ended") {
  const JsonValue read = asked(R"({"request":"ungovern"})");
  CHECK_FALSE(read.truth_at("governed"));
  CHECK_FALSE(read.truth_at("ended"));
}

TEST_CASE("answer: a sample names this process") {
  const JsonValue read = asked(R"({"request":"sample"})");
  CHECK(read.number_at("pid") == ::getpid());
}
