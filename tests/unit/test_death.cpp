// Reports of deaths: what is read from them, and what is made of it.
#include <doctest/doctest.h>

#include <string>

#include "postmortem/death.h"

using namespace corewise;
using postmortem::explain;
using postmortem::read_death;

namespace {

std::string report(const std::string& pools, const std::string& inside = "",
                   const std::string& rest = "\"threads\":1001,\"governed\":false") {
  return R"({"schema_version":1,"pid":7,"program":"python t.py","time":1,"signal":11,)" + rest +
         ",\"module\":\"/lib/libx.so\",\"inside\":[" + inside + "],\"pools\":[" + pools + "]}";
}

std::string openblas(const std::string& more) {
  return R"({"runtime":"openblas","path":"/w/libopenblas.so","threads_before":2,"caller_slots":128)" +
         more + "}";
}

std::string told(const std::string& text) {
  const auto death = read_death(text);
  REQUIRE(death);
  const auto findings = explain(*death);
  REQUIRE(findings.size() == 1);
  CHECK(!findings[0].why.empty());
  CHECK(!findings[0].remedy.empty());
  return findings[0].id + ": " + findings[0].what;
}

}  // namespace

TEST_CASE("death: buffers that ran out are named, with the arithmetic") {
  CHECK(
      told(report(openblas(",\"ran_out\":true"))) ==
      "death-openblas-slots: libopenblas.so ran out of work buffers: it has room for 128 calls at "
      "the same time, and the process had 1001 threads");
}

TEST_CASE("death: where the library does not tell, more threads than buffers make it probable") {
  CHECK(
      told(report(openblas(""), "0")).starts_with("death-openblas-slots: libopenblas.so probably"));
  CHECK(told(report(openblas(""), "0", "\"threads\":128,\"governed\":false"))
            .starts_with("death-inside-pool"));
  CHECK(told(report(openblas(""), "0", "\"threads\":1001,\"governed\":true"))
            .starts_with("death-inside-pool"));
  CHECK(told(report(openblas(""), "0", "\"threads\":128,\"governed\":false"))
            .find("in libx.so, perhaps called by libopenblas.so") != std::string::npos);
  CHECK(
      told(report(openblas(""), "")).starts_with("death-elsewhere: it died by SIGSEGV in libx.so"));
}

TEST_CASE("death: a number of the moment goes before one from earlier") {
  const auto death = read_death(report(openblas(",\"threads\":5"), "0,7,-1,\"x\""));
  REQUIRE(death);
  CHECK(death->pools.at(0).threads == 5);
  CHECK(death->pools.at(0).inside);
  CHECK(read_death(report(openblas("")))->pools.at(0).threads == 2);
}

TEST_CASE("death: what is no report is an error") {
  for (const char* text :
       {"", "{}", "[]", "x", R"({"schema_version":2,"signal":11})",
        R"({"schema_version":1,"signal":0})", R"({"schema_version":1,"signal":11})",
        R"({"schema_version":1,"signal":11,"pid":"x"})", R"({"schema_version":1,"signal":1e9})"}) {
    CAPTURE(text);
    CHECK(!read_death(text));
  }
}
