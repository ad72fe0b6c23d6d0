// corewise info: this machine, and the settings here that thread pools read.
#include <fmt/format.h>

#include <algorithm>
#include <string>

#include "base/json.h"
#include "base/text.h"
#include "budget/budget.h"
#include "info_command.h"
#include "screen/layout.h"
#include "shell/exit_codes.h"
#include "start/thread_variables.h"

namespace corewise::cli {
namespace {

// The first constraint from a source; the tightest if there are several, as of quotas.
const Constraint* constraint(const Budget& budget, Source source) {
  const Constraint* found = nullptr;
  for (const Constraint& one : budget.constraints) {
    if (one.source == source && (found == nullptr || one.cpus < found->cpus)) found = &one;
  }
  return found;
}

}  // namespace

int info_of_machine(const InfoOptions&, const Context& context) {
  const auto budget = compute_budget(os::LiveMachine());
  if (!budget) return fail(kFailed, budget.error().what);
  const Constraint* machine = constraint(*budget, Source::kMachine);
  const int online = machine != nullptr ? static_cast<int>(machine->cpus) : 0;
  const CpuSet& allowed = budget->allowed;
  const Constraint* quota = constraint(*budget, Source::kQuota);
  const auto variables = thread_variables(own_environment());

  if (context.settings.json) {
    Json json;
    json.open('{').field("schema_version", 1).field("cpus_online", online);
    json.field("cpus_allowed", allowed.to_list());
    json.field("cpus_allowed_count", allowed.count()).key("cpu_quota");
    quota != nullptr ? json.value(quota->cpus) : json.null();
    json.key("environment").open('{');
    for (const Variable& variable : variables) json.field(variable.name, variable.value);
    json.close('}').close('}');
    write_out(json.text() + "\n");
    return kOk;
  }

  const Style style = style_for(context.settings);
  std::string out = painted("This machine", Paint::kBold, style) + "\n";
  const auto fact = [&](const char* name, const std::string& value) {
    constexpr int kIndent = 16;
    out += padded(fmt::format("  {}", name), kIndent) +
           folded(value, kIndent, kIndent, style.width) + "\n";
  };
  fact("CPUs online", std::to_string(online));
  fact("CPUs allowed", fmt::format("{} ({})", allowed.count(), allowed.to_list()));
  fact("CPU quota", quota != nullptr ? fmt::format("{} ({})", cpus_in_words(quota->cpus),
                                                   printable(quota->where, style.unicode))
                                     : "none found");
  fact("Budget", cpus_in_words(budget->cpus));
  out += "\n" + painted("Thread variables set here", Paint::kBold, style) + "\n";
  std::size_t widest = 0;
  for (const Variable& variable : variables) widest = std::max(widest, variable.name.size());
  for (const Variable& variable : variables) {
    out += fmt::format("  {:<{}}  {}\n", printable(variable.name, style.unicode), widest,
                       printable(variable.value, style.unicode));
  }
  if (variables.empty()) {
    out += folded("  none: runtimes start one thread per allowed CPU", 0, 2, style.width) + "\n";
  }
  if (!context.settings.quiet) {
    out += "\n" + table({{"Pools live in processes:"}, {""}},
                        {{"  corewise info -i numpy", "the pools that Python modules bring"},
                         {"  corewise info --pid PID", "those of a running process"},
                         {"  corewise budget", "how many CPUs you may use, and why"}},
                        style);
  }
  write_out(out);
  return kOk;
}

}  // namespace corewise::cli
