#include <doctest/doctest.h>

#include <string>

#include "base/json.h"
#include "base/json_reader.h"

using namespace corewise;

TEST_CASE("JSON is read as it was written") {
  const auto value =
      read_json(R"( {"a": [1, -2.5e1, true, false, null], "b": {"c": "x\n\u00e9\ud83d\ude00"}} )");
  REQUIRE(value);
  const auto& items = value->items_at("a");
  REQUIRE(items.size() == 5);
  CHECK(items[0].whole() == 1);
  CHECK(items[1].number == -25);
  CHECK(items[2].truth);
  CHECK(items[3].kind == JsonValue::Kind::kTruth);
  CHECK(items[4].kind == JsonValue::Kind::kNull);
  CHECK(value->find("b")->text_at("c") == "x\n\xc3\xa9\xf0\x9f\x98\x80");
}

TEST_CASE("Bytes that are no text come back as they were") {
  const std::string bytes = "/tmp/\xff\x80 \x01\"\\ \xc3\xa9";
  const auto value = read_json(Json().value(bytes).text());
  REQUIRE(value);
  CHECK(value->text == bytes);
}

TEST_CASE("What is no JSON is refused, and where") {
  for (const char* text : {"",
                           " ",
                           "{",
                           "}",
                           "[1",
                           "[1,]",
                           "{\"a\":1,}",
                           "{\"a\" 1}",
                           "{a:1}",
                           "{\"a\":1}x",
                           "01",
                           "1.",
                           "-",
                           "1e",
                           "+1",
                           "tru",
                           "nul",
                           "\"",
                           "\"\n\"",
                           "\"\\x\"",
                           "\"\\u12\"",
                           "\"\\ud800\"",
                           "\"\\ud800\\u0041\"",
                           "{\"a\":1,\"a\":2}",
                           "1e999",
                           "'a'",
                           "\"\\"}) {
    CAPTURE(text);
    const auto value = read_json(text);
    REQUIRE_FALSE(value);
    CHECK(value.error().status == CW_BAD_ARGUMENT);
    CHECK(value.error().what.find("at byte") != std::string::npos);
  }
  CHECK_FALSE(read_json(std::string(100, '[') + std::string(100, ']')));
  CHECK(read_json(std::string(15, '[') + std::string(15, ']')));
}

TEST_CASE("A whole number is one that an int holds") {
  CHECK_FALSE(read_json("1.5")->whole());
  CHECK_FALSE(read_json("1e300")->whole());
  CHECK_FALSE(read_json("\"1\"")->whole());
  CHECK(read_json("4.0")->whole() == 4);
}

TEST_CASE("An amount is the nearest that is counted, whatever another process says") {
  const auto value = read_json(R"({"a": 7, "b": -1, "c": 1e300, "d": "x"})");
  CHECK(value->amount_at("a") == 7);
  CHECK(value->amount_at("b") == 0);
  CHECK(value->amount_at("c") == std::uint64_t{1} << 53);
  CHECK(value->amount_at("d") == 0);
}
