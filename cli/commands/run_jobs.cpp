#include "run_jobs.h"

#include <algorithm>
#include <cstdlib>

#include "outcome/captured_run.h"
#include "shell/output.h"
#include "shell/variable.h"
#include "start/target.h"

namespace corewise::cli {
namespace {

// The first line that the program prints about itself; empty if there is no such program.
std::string version_line(const std::string& command) {
  constexpr double kMostSeconds = 10;
  const Target target = find_target({command});
  if (target.path.empty()) return {};
  const auto done = run_captured([&] { return become({command, "--version"}, target, "run"); },
                                 kMostSeconds, [] {});
  return done ? done->out.substr(0, done->out.find('\n')) : std::string();
}

jobs::Versions versions_for(const std::optional<jobs::Build>& build, const std::string& command) {
  if (!build) return {version_line("make"), {}};
  switch (build->tool) {
    case jobs::Tool::kMake:
      return {version_line(command), {}};
    case jobs::Tool::kNinja:
      return {version_line("make"), version_line(command)};
    case jobs::Tool::kCargo:
      return {version_line("make"), {}};
  }
  return {};
}

}  // namespace

JobPlan plan_jobs(const std::vector<std::string>& words, std::optional<bool> asked,
                  const govern::OwnBudget& own) {
  JobPlan plan;
  plan.words = words;
  if (asked == false) return plan;
  const std::string makeflags = variable(kMakeflags);
  if (jobs::names_jobserver(makeflags) || jobs::names_jobserver(variable("CARGO_MAKEFLAGS"))) {
    return plan;
  }
  const auto build = jobs::read_build(words, makeflags);
  if (!build && asked != true) return plan;
  std::optional<jobs::Tool> tool;
  if (build) tool = build->tool;
  const auto form = jobs::choose_form(tool, versions_for(build, words.front()), plan.why_not);
  if (!form) return plan;
  plan.server = JobserverOptions{*form, build ? build->most : jobs::kNoMost};
  plan.jobs = std::min(plan.server->most, own.most);
  if (build) plan.words = build->words;
  return plan;
}

ProvidedJobs provide_jobs(const JobPlan& plan, const std::vector<std::string>& words) {
  if (!plan.server) return {words, {}, {}};
  const auto auth = start_jobserver(*plan.server);
  if (!auth) return {words, {}, printable(auth.error().what, false)};
  const std::string flags = jobs::with_jobserver(variable(kMakeflags), *auth, plan.jobs);
  ::setenv(kMakeflags, flags.c_str(), 1);
  return {plan.words, flags, {}};
}

}  // namespace corewise::cli
