// corewise budget: the CPUs that this process may really use, and what sets each bound.
#include <fmt/format.h>

#include "base/text.h"
#include "budget/budget.h"
#include "screen/layout.h"
#include "shell/commands.h"
#include "shell/exit_codes.h"
#include "shell/machine_choice.h"

namespace corewise::cli {
namespace {

std::string topology_line(const Topology& topology, const CpuSet& allowed) {
  std::string text = counted(topology.cpus, "CPU");
  if (topology.cores > 0) {
    text += " on " + counted(topology.cores, "core");
    text += fmt::format(" ({} a core)", counted(topology.threads_per_core, "thread"));
  }
  if (topology.packages > 0) text += ", " + counted(topology.packages, "package");
  if (topology.numa_nodes > 0) text += ", " + counted(topology.numa_nodes, "NUMA node");
  if (topology.performance_cpus > 0) {
    text += fmt::format("; {} performance, {} efficiency", topology.performance_cpus,
                        topology.efficiency_cpus);
  }
  return text + ": " + allowed.to_list();
}

std::string screen_of(const Budget& budget, const Context& context) {
  const Style style = style_for(context.settings);
  const auto line = [&](const char* name, const std::string& value, const std::string& meaning) {
    const std::string head = fmt::format("  {:<8}  {:>3}  ", name, value);
    return head + folded(meaning, width_of(head), width_of(head), style.width) + "\n";
  };
  std::string out = painted("Budget: " + cpus_in_words(budget.cpus), Paint::kBold, style) + "\n";
  out += line("floor", std::to_string(budget.floor), "threads that never wait for one another");
  out += line("ceil", std::to_string(budget.ceil), "threads that can use all of it");
  out += line("topology", "", topology_line(budget.topology, budget.allowed)) + "\n";

  std::vector<std::vector<std::string>> rows;
  for (const Constraint& one : budget.constraints) {
    const std::string detail = one.detail.empty() ? "" : ": " + one.detail;
    rows.push_back({one.binding ? "*" : " ", source_name(one.source), format_cpus(one.cpus),
                    printable(one.where + detail, style.unicode)});
  }
  out += table({{" "}, {"SOURCE"}, {"CPUS", true}, {"WHERE"}}, rows, style);
  if (!context.settings.quiet) {
    const std::string legend = "* binding: without it the budget might be larger.";
    out += "\n" + painted(folded(legend, 0, 2, style.width), Paint::kDim, style) + "\n";
  }
  for (const std::string& finding : budget.findings) {
    out += "\n" + folded(printable(finding, style.unicode), 0, 0, style.width) + "\n";
  }
  return out;
}

int show(const MachineChoice& choice, const Context& context) {
  const Result<Budget> budget = budget_of(choice);
  if (!budget) return fail(exit_for(budget.error().status), "budget: " + budget.error().what);
  write_out(context.settings.json ? budget_json(*budget) + "\n" : screen_of(*budget, context));
  return kOk;
}

Action declare(CLI::App& app) {
  auto choice = declare_machine(app);
  return [choice](const Context& context) { return show(*choice, context); };
}

}  // namespace

const Command kBudget = {
    .name = "budget",
    .summary = "Show how many CPUs you may use, and which setting limits you",
    .about =
        "Shows how many CPUs you may use, and which setting limits you: the machine, the CPUs "
        "of the main thread (affinity), quotas of the cgroups and those above them, a "
        "scheduler such as Slurm, or yourself (--cap or COREWISE_BUDGET). The lowest wins. A "
        "quota makes the budget a fraction: `floor` is how many threads never wait for one "
        "another, `ceil` how many can use all of it.",
    .example =
        "corewise budget\n"
        "corewise budget --cap 1.5\n"
        "make -j$(corewise budget --json | jq .ceil)",
    .declare = declare,
};

}  // namespace corewise::cli
