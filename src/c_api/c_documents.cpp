// The C ABI over what corewise tells about this process: pools, budget, plan, findings, deaths.
#include <optional>
#include <string>

#include "advice/doctor.h"
#include "budget/budget.h"
#include "budget/thread_binding.h"
#include "corewise.h"
#include "death/death.h"
#include "death/death_watch.h"
#include "facts/plan_input.h"
#include "facts/process_facts.h"
#include "limits/limit.h"
#include "marshal.h"
#include "pools/pool_facts.h"

using namespace corewise;         // NOLINT(google-build-using-namespace): this file is its C face
using namespace corewise::c_api;  // NOLINT(google-build-using-namespace)

namespace {

std::optional<double> given(const double* number) {
  return number != nullptr ? std::optional(*number) : std::nullopt;
}

std::optional<int> wish(std::int32_t count) {
  return count != 0 ? std::optional(count) : std::nullopt;
}

}  // namespace

extern "C" {

size_t cw_info_json(char* buffer, size_t capacity) {
  return hand_out_text(buffer, capacity, [] {
    synchronise();
    return info_json();
  });
}

cw_status cw_budget_json(const double* cap, char* buffer, size_t capacity, size_t* needed) {
  return hand_out_document(buffer, capacity, needed, [&]() -> Result<std::string> {
    synchronise();
    const Result<Budget> budget = compute_budget(OwnMachine(), given(cap));
    if (!budget) return budget.error();
    return budget_json(*budget);
  });
}

cw_status cw_plan_json(const cw_plan_options* options, char* buffer, size_t capacity,
                       size_t* needed) {
  return hand_out_document(buffer, capacity, needed, [&]() -> Result<std::string> {
    const auto taken = take_options(options, "cw_plan_options", 0);
    if (!taken) return taken.error();
    PlanInput input;
    input.processes = taken->processes;
    input.wishes.openmp = wish(taken->openmp);
    input.wishes.blas = wish(taken->blas);
    synchronise();
    const Result<Budget> budget = compute_budget(OwnMachine());
    if (!budget) return budget.error();
    input.cpus = budget->cpus;
    input.pools = pools_for_a_plan();
    name_variables(input);
    const Result<Plan> plan = make_plan(input);
    if (!plan) return plan.error();
    return plan_json(*plan);
  });
}

cw_status cw_doctor_json(char* buffer, size_t capacity, size_t* needed) {
  return hand_out_document(buffer, capacity, needed, []() -> Result<std::string> {
    synchronise();
    return findings_json(examine(facts_of_this_process()));
  });
}

cw_status cw_watch_death(void) {
  return guarded([&] {
    synchronise();
    const auto error = death::watch_death();
    return error ? fail(error->status, error->what) : CW_OK;
  });
}

cw_status cw_last_death_json(char* buffer, size_t capacity, size_t* needed) {
  return hand_out_document(buffer, capacity, needed, []() -> Result<std::string> {
    // A report that cannot be read is as good as none.
    const auto last = death::last_death();
    return death::death_json(last ? *last : std::nullopt);
  });
}

}  // extern "C"
