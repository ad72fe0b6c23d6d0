// Reports of deaths: what is read from them, and what is made of it.
#include <doctest/doctest.h>

#include <string>
#include <utility>
#include <vector>

#include "death/death.h"

using namespace corewise;
using death::explain;
using death::headline;
using death::name_of;
using death::read_death;

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
  CHECK(told(report(openblas(",\"ran_out\":true"))) ==
        "death-openblas-slots: 1,001 threads called OpenBLAS, which has room for 128");
  // By the time of the report most of the threads may be gone.
  CHECK(told(report(openblas(",\"ran_out\":true"), "", "\"threads\":3,\"governed\":false")) ==
        "death-openblas-slots: OpenBLAS ran out of slots: it has room for 128 calls at "
        "once");
}

TEST_CASE("death: two copies that ran out are one cause") {
  const std::string one = openblas(",\"ran_out\":true");
  const auto death = read_death(report(
      one +
      R"(,{"runtime":"openblas","path":"/w/libscipy.so","caller_slots":128,"ran_out":true})"));
  REQUIRE(death);
  const auto findings = explain(*death);
  REQUIRE(findings.size() == 1);
  CHECK(findings[0].why.find("(libopenblas.so, libscipy.so)") != std::string::npos);
}

namespace {

death::Death of(const std::string& fields) {
  const auto death = read_death(report("", "", "\"threads\":2" + fields));
  REQUIRE(death);
  return *death;
}

const std::string kNotebook = R"(,"notebook":"/home/me/fit.ipynb")";

}  // namespace

TEST_CASE("death: it is called what a person calls it") {
  CHECK(headline(of(kNotebook + ",\"kernel\":true")).starts_with("fit.ipynb died by SIGSEGV in"));
  CHECK(headline(of(kNotebook)).starts_with("a process that fit.ipynb started (t.py) died by"));
  CHECK(headline(of("")).starts_with("t.py died by SIGSEGV in libx.so"));
  CHECK(of(",\"kernel\":true").kernel == false);  // of no notebook
  death::Death death = of(kNotebook);
  for (const auto& [program, name] :
       {std::pair("/usr/bin/python3 /home/me/train.py 4", "train.py"),
        std::pair("python -m pytest -q", "pytest"),
        std::pair("python -m ipykernel_launcher -f x", "a notebook's kernel"),
        std::pair("python3.11 -c x", "python3.11"), std::pair("/opt/bin/R --no-echo", "R"),
        std::pair("", "it")}) {
    death.program = program;
    CHECK(name_of(death) == name);
  }
  death.program = "python -m ipykernel_launcher -f kernel.json";
  CHECK(headline(death).starts_with("a process that fit.ipynb forked died"));
  death = of(kNotebook + ",\"kernel\":true");
  death::DeadPool pool;
  pool.runtime = "openblas";
  pool.path = "/w/lib.so";
  pool.caller_slots = 128;
  pool.ran_out = true;
  death.pools.push_back(pool);
  death.threads = 1015;
  CHECK(headline(death) == "fit.ipynb died: 1,015 threads called OpenBLAS, which has room for 128");
  CHECK(explain(death)[0].remedy.find("%govern on") < explain(death)[0].remedy.find("%threads"));
  CHECK(explain(death)[0].remedy.find("corewise run") == std::string::npos);
}

TEST_CASE("death: the one that a question is about") {
  std::vector<death::Death> deaths(3);
  deaths[0].folder = "/elsewhere";
  deaths[0].time = 10'000;
  deaths[1].folder = "/home/me";
  deaths[1].notebook = "/home/me/a.ipynb";
  deaths[1].time = 9'000;
  deaths[2].folder = "/home/me";
  deaths[2].notebook = "/home/me/b.ipynb";
  deaths[2].time = 1'000;
  const auto asked = [&](const char* notebook, const char* folder) {
    return death_for({notebook, folder}, deaths) - deaths.data();
  };
  CHECK(asked("/home/me/a.ipynb", "/home/me") == 1);
  CHECK(asked("/home/me/b.ipynb", "/home/me") == 2);
  CHECK(asked("/home/me/c.ipynb", "/home/me") == 0);
  CHECK(asked("", "/home/me") == 1);
  CHECK(asked("", "/nowhere") == 0);
  deaths[1].time = 6'000;  // more than an hour before the newest
  CHECK(asked("", "/home/me") == 0);
  CHECK(asked("/home/me/a.ipynb", "/home/me") == 1);
  deaths.clear();
  CHECK(death_for({"", "/home/me"}, deaths) == nullptr);
}

TEST_CASE("death: where the library does not tell, more threads than buffers make it probable") {
  CHECK(told(report(openblas(""), "0")) ==
        "death-openblas-slots: 1,001 threads probably called OpenBLAS, which has room for 128");
  CHECK(told(report(openblas(""), "0", "\"threads\":128,\"governed\":false"))
            .starts_with("death-inside-pool"));
  CHECK(told(report(openblas(""), "0", "\"threads\":1001,\"governed\":true"))
            .starts_with("death-inside-pool"));
  CHECK(told(report(openblas(""), "0", "\"threads\":128,\"governed\":false"))
            .find("in libx.so, perhaps called by libopenblas.so") != std::string::npos);
  CHECK(
      told(report(openblas(""), "")).starts_with("death-elsewhere: it died by SIGSEGV in libx.so"));
}

TEST_CASE("death: outside the pools, a kernel is not started by hand") {
  const auto remedy = [](const char* program) {
    death::Death death = of("");
    death.program = program;
    return explain(death)[0].remedy;
  };
  CHECK(remedy("python t.py").find("python -X faulthandler") != std::string::npos);
  CHECK(remedy("python -m ipykernel_launcher -f x").starts_with("Put `import faulthandler; "));
}

TEST_CASE("death: a signal that somebody sent blames no pool") {
  const std::string sent = "\"sent\":true,\"threads\":1001,\"governed\":false";
  CHECK(told(report(openblas(""), "0", sent)) ==
        "death-sent: it died by SIGSEGV, which a program sent to it");
  CHECK(told(report(openblas(",\"ran_out\":true"), "0", sent)).starts_with("death-openblas-slots"));
}

TEST_CASE("death: the advice counts the workers that OpenBLAS had before it was limited") {
  const auto death = read_death(report(
      R"({"runtime":"openblas","path":"/v/numpy.libs/libopenblas.so","version":"0.3.27","threads":1,)"
      R"("threads_before":64,"caller_slots":128,"ran_out":true})"));
  REQUIRE(death);
  const Finding finding = explain(*death).front();
  CHECK(finding.what == "1,001 threads called OpenBLAS, which has room for 128");
  CHECK(finding.remedy.ends_with("OMP_NUM_THREADS=65."));
  CHECK(finding.why.find("the next call writes past their table") != std::string::npos);
}

TEST_CASE("death: an OpenBLAS that calls exit is named") {
  const std::string full = openblas(",\"ran_out\":true");
  CHECK(told(R"({"schema_version":1,"pid":7,"signal":0,"threads":9,"module":"/w/libopenblas.so",)"
             R"("pools":[)" +
             full + "]}") ==
        "death-openblas-memory: libopenblas.so ended it: the kernel refused memory for one more "
        "call");
  CHECK_FALSE(read_death(R"({"schema_version":1,"pid":7})"));
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
  CHECK(death::death_json(*death).find(R"("from":[8],"to":[2,3])") != std::string::npos);
}
