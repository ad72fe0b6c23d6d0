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

namespace {

std::string abort_of(const std::string& pools, const std::string& module,
                     const std::string& rest = "", int signal = 6) {
  return R"({"schema_version":1,"pid":7,"program":"python t.py","time":1,"threads":3,"signal":)" +
         std::to_string(signal) + ",\"module\":\"" + module + "\",\"pools\":[" + pools + "]" +
         rest + "}";
}

std::string openmp(const char* runtime, const char* path, const char* used = "") {
  return std::string(R"({"runtime":")") + runtime + R"(","path":")" + path + "\"" + used + "}";
}

}  // namespace

TEST_CASE("death: OMP Error #15 names both copies") {
  const std::string iomp = openmp("libiomp", "/mkl/libiomp5.so", ",\"used\":false");
  const std::string omp = openmp("libomp", "/llvm/libomp.so", ",\"used\":true");
  const std::string idle = openmp("libomp", "/x/libomp.so", ",\"used\":false");
  CHECK(told(abort_of(idle + "," + omp + "," + iomp, "/mkl/libiomp5.so")) ==
        "death-two-openmps: /mkl/libiomp5.so refused to start beside /llvm/libomp.so (OMP: Error "
        "#15)");
  // Used for the first time as it was loaded: no pool yet.
  CHECK(
      told(abort_of(omp, "/mkl/libiomp5.so")) ==
      "death-two-openmps: /mkl/libiomp5.so probably refused to start beside /llvm/libomp.so (OMP: "
      "Error #15)");
  // What it printed is proof, wherever it stood.
  CHECK(told(abort_of(omp, "/usr/lib/libc.so.6", R"(,"stderr":"OMP: Error #15: Initializing")"))
            .starts_with("death-two-openmps: another copy refused"));
  // A copy that is in use aborts for other reasons; so does one that is alone.
  const std::string used = openmp("libiomp", "/mkl/libiomp5.so", ",\"used\":true");
  CHECK(told(abort_of(omp + "," + used, "/mkl/libiomp5.so")).starts_with("death-elsewhere"));
  CHECK(told(abort_of(iomp, "/mkl/libiomp5.so")).starts_with("death-elsewhere"));
  CHECK(told(abort_of(omp + "," + iomp, "/usr/lib/libc.so.6")).starts_with("death-elsewhere"));
  CHECK(
      told(abort_of(omp + "," + iomp, "/mkl/libiomp5.so", "", 11)).starts_with("death-elsewhere"));
}

TEST_CASE("death: Numba's own ends are told by the layer and the signal") {
  const std::string queue = R"({"runtime":"numba","path":"/n/workqueue.so","layer":"workqueue"})";
  const std::string omp = R"({"runtime":"numba","path":"/n/omppool.so","layer":"omp"})";
  CHECK(
      told(abort_of(queue, "/n/workqueue.so")).starts_with("death-numba-concurrent: Numba ended"));
  // A kernel of the user's that aborts on a worker of that layer.
  CHECK(told(abort_of(queue, "/usr/lib/libc.so.6")).starts_with("death-elsewhere"));
  CHECK(told(abort_of(omp, "/n/omppool.so")).starts_with("death-elsewhere"));
  CHECK(told(abort_of(omp, "", "", 15)).starts_with("death-numba-fork: Numba ended it (SIGTERM)"));
}

TEST_CASE("death: a team that was cut is told beside the rest") {
  const std::string bent =
      R"(,"bent":{"regions":9,"bent":4,"from":256,"to":12,"libraries":[{"path":"/g/libgbm.so","why":)"
      R"("COREWISE_BEND","inside":)";
  const auto death = read_death(abort_of("", "/g/libgbm.so", bent + "true}]}", 11));
  REQUIRE(death);
  const auto findings = explain(*death);
  REQUIRE(findings.size() == 2);
  CHECK(findings[0].id == "death-elsewhere");
  CHECK(findings[1].id == "death-bent-team");
  CHECK(findings[1].severity == Severity::kDanger);
  CHECK(findings[1].what ==
        "teams of libgbm.so had been cut: they asked for 8 threads and got 2 and 3, in 4 of 9 "
        "regions");
  CHECK(findings[1].remedy.find("COREWISE_EXACT_TEAMS=libgbm.so") != std::string::npos);
  const auto else_where = read_death(abort_of("", "/x/libx.so", bent + "false}]}", 11));
  REQUIRE(else_where);
  CHECK(explain(*else_where)[1].severity == Severity::kWarning);
  CHECK(postmortem::death_json(*death).find(R"("from":[8],"to":[2,3])") != std::string::npos);
}
