// Patients from recorded processes, and this process as its own patient.
#include <doctest/doctest.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>

#include "facts/patient.h"

using namespace corewise;

namespace {

Patient recorded(const char* name) {
  const auto folder =
      std::filesystem::path(__FILE__).parent_path().parent_path() / "recorded" / "processes" / name;
  const auto process = outside::read_recorded(folder.string());
  REQUIRE(process);
  return patient_from(*process, folder.string());
}

bool has(const std::vector<Finding>& findings, std::string_view id) {
  return std::any_of(findings.begin(), findings.end(),
                     [&](const Finding& finding) { return finding.id == id; });
}

}  // namespace

TEST_CASE("a recorded process brings its pools, variables and mask, and nothing of this machine") {
  const Patient patient = recorded("two-copies");
  CHECK(patient.from_outside);
  CHECK(patient.pools.size() == 2);
  CHECK(patient.pools[0].runtime == "openblas");
  CHECK(patient.budget == 5);
  CHECK(patient.best_architecture.empty());
  CHECK(has(examine(patient), "openblas-spinning"));
}

TEST_CASE("an OpenMP count from outside is the one that new threads begin with") {
  outside::Process process;
  process.cpus = "0-3,8";
  outside::SeenPool seen;
  const auto runtime = std::find_if(runtimes().begin(), runtimes().end(), [](const Runtime* one) {
    return std::string_view(one->name) == "libgomp";
  });
  REQUIRE(runtime != runtimes().end());
  seen.pool.runtime = *runtime;
  process.pools = {seen};
  CHECK(patient_from(process, "/no/folder").pools[0].threads == 5);
  for (const auto& [text, threads] :
       {std::pair{"OMP_NUM_THREADS=3", 3}, std::pair{"OMP_NUM_THREADS= 7 ,2", 7},
        std::pair{"OMP_NUM_THREADS=many", 5}, std::pair{"OMP_NUM_THREADS=0", 5}}) {
    process.environment = {text, "no equals sign"};
    CHECK(patient_from(process, "/no/folder").pools[0].threads == threads);
  }
}

TEST_CASE("this process: its variables as they are now") {
  ::setenv("MKL_NUM_THREADS", "no number", 1);
  const Patient patient = this_patient();
  ::unsetenv("MKL_NUM_THREADS");
  CHECK_FALSE(patient.from_outside);
  CHECK(patient.budget > 0);
  CHECK(has(examine(patient), "variable-not-a-count"));
  CHECK_FALSE(has(examine(this_patient()), "variable-not-a-count"));
}

TEST_CASE("from outside a live process has the budget that it has inside") {
  const auto process = outside::read_process(::getpid());
  REQUIRE(process);
  const Patient outside =
      patient_from(*process, "/proc/" + std::to_string(static_cast<int>(::getpid())));
  const Patient inside = this_patient();
  CHECK(outside.budget == inside.budget);
  CHECK(outside.budget_reason == inside.budget_reason);
  CHECK(outside.best_architecture == inside.best_architecture);
}
