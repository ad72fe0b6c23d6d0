// The doctor's rules: each reads the facts and adds the findings of one kind. A new rule is a
// function in one of the files rules_*.cpp, a line here and one in doctor.cpp.
#pragma once

#include <vector>

#include "facts.h"
#include "finding.h"

namespace corewise::rules {

using Findings = std::vector<Finding>;

void slots(const ProcessFacts& facts, Findings& out);
void spinning(const ProcessFacts& facts, Findings& out);
void core_type(const ProcessFacts& facts, Findings& out);
void limited_from_outside(const ProcessFacts& facts, Findings& out);
void leaked(const ProcessFacts& facts, Findings& out);
void blas_alone(const ProcessFacts& facts, Findings& out);
void two_openmps(const ProcessFacts& facts, Findings& out);
void mkl_beside_libgomp(const ProcessFacts& facts, Findings& out);
void mkl_dynamic(const ProcessFacts& facts, Findings& out);
void fork_after_openmp(const ProcessFacts& facts, Findings& out);
void numba_after_fork(const ProcessFacts& facts, Findings& out);
void wait_policy(const ProcessFacts& facts, Findings& out);
void workers_spin(const ProcessFacts& facts, Findings& out);
void dynamic_teams(const ProcessFacts& facts, Findings& out);
void above_budget(const ProcessFacts& facts, Findings& out);
void variables_above_budget(const ProcessFacts& facts, Findings& out);
void variable_without_effect(const ProcessFacts& facts, Findings& out);
void ledger_holders(const ProcessFacts& facts, Findings& out);

}  // namespace corewise::rules
