#include "doctor.h"

#include <array>

#include "rules.h"

namespace corewise {
namespace {

constexpr std::array<void (*)(const ProcessFacts&, rules::Findings&), 18> kRules = {
    rules::slots,
    rules::two_openmps,
    rules::mkl_beside_libgomp,
    rules::fork_after_openmp,
    rules::numba_after_fork,
    rules::dynamic_teams,
    rules::wait_policy,
    rules::workers_spin,
    rules::ledger_holders,
    rules::spinning,
    rules::above_budget,
    rules::core_type,
    rules::limited_from_outside,
    rules::leaked,
    rules::variables_above_budget,
    rules::variable_without_effect,
    rules::blas_alone,
    rules::mkl_dynamic,
};

}  // namespace

std::vector<Finding> examine(const ProcessFacts& facts) {
  std::vector<Finding> found;
  for (const auto rule : kRules) rule(facts, found);
  return by_severity(found);
}

}  // namespace corewise
