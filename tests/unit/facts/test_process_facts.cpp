// What the doctor is told of recorded processes, and of this one.
#include <doctest/doctest.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>

#include "advice/doctor.h"
#include "facts/process_facts.h"

using namespace corewise;

namespace {

ProcessFacts recorded(const char* name) {
  const auto folder = std::filesystem::path(COREWISE_TESTS) / "recorded" / "processes" / name;
  const auto process = outside::read_recorded(folder.string());
  REQUIRE(process);
  return facts_of_process(*process, folder.string());
}

bool has(const std::vector<Finding>& findings, std::string_view id) {
  return std::any_of(findings.begin(), findings.end(),
                     [&](const Finding& finding) { return finding.id == id; });
}

}  // namespace

TEST_CASE("a recorded process brings its pools, variables and mask, and nothing of this machine") {
  const ProcessFacts facts = recorded("two-copies");
  CHECK(facts.from_outside);
  CHECK(facts.pools.size() == 2);
  CHECK(facts.pools[0].runtime == "openblas");
  CHECK(facts.budget == 5);
  CHECK(facts.best_architecture.empty());
  CHECK(has(examine(facts), "openblas-spinning"));
}

TEST_CASE("an OpenMP count from outside is the one that new threads begin with") {
  outside::Process process;
  process.cpus = "0-3,8";
  outside::OutsidePool seen;
  const auto runtime = std::find_if(runtimes().begin(), runtimes().end(), [](const Runtime* one) {
    return std::string_view(one->name) == "libgomp";
  });
  REQUIRE(runtime != runtimes().end());
  seen.pool.runtime = *runtime;
  process.pools = {seen};
  CHECK(facts_of_process(process, "/no/folder").pools[0].threads == 5);
  for (const auto& [text, threads] :
       {std::pair{"OMP_NUM_THREADS=3", 3}, std::pair{"OMP_NUM_THREADS= 7 ,2", 7},
        std::pair{"OMP_NUM_THREADS=many", 5}, std::pair{"OMP_NUM_THREADS=0", 5}}) {
    process.environment = {text, "no equals sign"};
    CHECK(facts_of_process(process, "/no/folder").pools[0].threads == threads);
  }
}

TEST_CASE("this process: its variables as they are now") {
  ::setenv("MKL_NUM_THREADS", "no number", 1);
  const ProcessFacts facts = facts_of_this_process();
  ::unsetenv("MKL_NUM_THREADS");
  CHECK_FALSE(facts.from_outside);
  CHECK(facts.budget > 0);
  CHECK(has(examine(facts), "variable-not-a-count"));
  CHECK_FALSE(has(examine(facts_of_this_process()), "variable-not-a-count"));
}

TEST_CASE("from outside a live process has the budget that it has inside") {
  const auto process = outside::read_process(::getpid());
  REQUIRE(process);
  const ProcessFacts outside =
      facts_of_process(*process, "/proc/" + std::to_string(static_cast<int>(::getpid())));
  const ProcessFacts inside = facts_of_this_process();
  CHECK(outside.budget == inside.budget);
  CHECK(outside.budget_reason == inside.budget_reason);
  CHECK(outside.best_architecture == inside.best_architecture);
}
