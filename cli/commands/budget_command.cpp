// corewise budget: the CPUs that this process may use, and what sets each bound.
#include <fmt/format.h>
#include <unistd.h>

#include <memory>
#include <optional>

#include "base/json.h"
#include "base/text.h"
#include "budget/budget.h"
#include "govern/ledger/group_budget.h"
#include "govern/machine/machine_share.h"
#include "os/machine.h"
#include "screen/layout.h"
#include "shell/commands.h"
#include "shell/exit_codes.h"
#include "shell/machine_choice.h"
#include "start/project.h"
#include "start/thread_variables.h"

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

using UserPart = govern::MachineShare::UserPart;

std::string asking_in_words(int others) {
  if (others == 0) return "no other user asks";
  return counted(others, "other user") + (others == 1 ? " asks" : " ask");
}

std::string screen_of(const Budget& budget, const std::optional<UserPart>& machine,
                      const Context& context) {
  const Style style = style_for(context.settings);
  const auto line = [&](const char* name, const std::string& value, const std::string& meaning) {
    const std::string head = fmt::format("  {:<8}  {:>3}  ", name, value);
    return head + folded(meaning, width_of(head), width_of(head), style.width) + "\n";
  };
  std::string out = painted("Budget: " + cpus_in_words(budget.cpus), Paint::kBold, style) + "\n";
  out += line("floor", std::to_string(budget.floor),
              budget.cpus < 1 ? "a program has at least one thread; its CPU is not always yours"
                              : "this many threads have a CPU each");
  out += line("ceil", std::to_string(budget.ceil), "this many threads use up the budget");
  out += line("topology", "", topology_line(budget.topology, budget.allowed));
  if (machine) {
    out += line("share", std::to_string(machine->share),
                fmt::format("of the machine's {}: {}", counted(machine->cpus, "CPU"),
                            asking_in_words(machine->others)));
  }
  out += '\n';

  std::vector<std::vector<std::string>> rows;
  for (const Constraint& one : budget.constraints) {
    const std::string detail = one.detail.empty() ? "" : ": " + one.detail;
    rows.push_back({one.binding ? "*" : " ", source_name(one.source), format_cpus(one.cpus),
                    printable(one.where + detail, style.unicode)});
  }
  out += table({{" "}, {"SOURCE"}, {"CPUS", true}, {"WHERE"}}, rows, style);
  if (!context.settings.quiet) {
    const std::string legend = "* this setting limits you: without it you might use more CPUs.";
    out += "\n" + painted(folded(legend, 0, 2, style.width), Paint::kDim, style) + "\n";
  }
  for (const std::string& finding : budget.findings) {
    out += "\n" + folded(printable(finding, style.unicode), 0, 0, style.width) + "\n";
  }
  return out;
}

// Of the machine, only where it is shared.
std::string json_of(const Budget& budget, const std::optional<UserPart>& machine) {
  Json json;
  json.open('{');
  write_budget(json, budget);
  if (machine) govern::write_part(json.key("machine"), *machine);
  return json.close('}').text() + "\n";
}

struct Options {
  std::shared_ptr<MachineChoice> machine;
  std::optional<std::string> group;
  std::optional<std::string> set;
  bool unset = false;
};

std::string group_json(const govern::BudgetGroup& group, const std::string& name, int before) {
  Json json;
  json.open('{').field("schema_version", 1).field("group", name).field("budget", group.budget);
  json.field("before", before).field("chosen", group.chosen).field("ledger", group.path);
  json.key("programs").open('[');
  for (const govern::GroupMember& member : group.members) {
    json.open('{').field("pid", member.pid).field("granted", member.tokens);
    json.field("command", member.program).close('}');
  }
  return json.close(']').close('}').text() + "\n";
}

std::string group_screen(const govern::BudgetGroup& group, const std::string& name, int before,
                         const Context& context) {
  const Style style = style_for(context.settings);
  const std::string change = before == group.budget
                                 ? counted(group.budget, "thread")
                                 : fmt::format("{} -> {}", before, counted(group.budget, "thread"));
  std::string out = painted(fmt::format("Group {}: {}", printable(name, style.unicode), change),
                            Paint::kBold, style) +
                    "\n\n";
  std::vector<std::vector<std::string>> rows;
  for (const govern::GroupMember& member : group.members) {
    rows.push_back({std::to_string(member.pid), std::to_string(member.tokens),
                    printable(member.program, style.unicode)});
  }
  out += table({{"PID", true}, {"GRANTED", true}, {"COMMAND"}}, rows, style);
  if (context.settings.quiet) return out;
  const std::string legend =
      group.chosen ? "Chosen by --set. It holds for each program from its next region or call on, "
                     "until --unset or until the group's last program ends."
                   : "As its programs were started; --set N changes it while they run.";
  return out + "\n" + painted(folded(legend, 0, 0, style.width), Paint::kDim, style) + "\n";
}

// The budget to choose; 0: the programs' own.
Result<int> budget_to_choose(const Options& options) {
  if (options.unset) return 0;
  const Result<int> count = parse_count("set", *options.set);
  if (!count) return count.error();
  // The machine refuses more CPUs than it has, in its own words.
  const Result<Budget> possible = compute_budget(os::LiveMachine(), *count);
  if (!possible) return Error{CW_BAD_COUNT, "--set: " + possible.error().what};
  return *count;
}

int of_group(const Options& options, const Context& context) {
  const std::string& name = *options.group;
  if (name.empty()) return fail(kUsage, "budget: --group takes a name");
  if (options.machine->cap || options.machine->recorded) {
    return fail(kUsage, "budget: --cap and --recorded are about a machine, --group about programs");
  }
  if (options.set && options.unset) {
    return fail(kUsage, "budget: --set and --unset contradict each other: give one of them");
  }
  std::optional<int> before;
  if (options.set || options.unset) {
    const Result<int> budget = budget_to_choose(options);
    if (!budget) return fail(kUsage, "budget: " + budget.error().what);
    if (const auto old = govern::choose_group_budget(name, *budget); old && *old) {
      before = (*old)->budget;
    }
  }
  const auto group = govern::find_group(name);
  if (!group) return fail(exit_for(group.error().status), "budget: " + group.error().what);
  if (!*group) {
    return fail(
        kNoSuchGroup,
        fmt::format("budget: no program of yours is in the group '{}'", printable(name, false)),
        "to start one: corewise run --group NAME -- COMMAND");
  }
  const int was = before.value_or((*group)->budget);
  write_out(context.settings.json ? group_json(**group, name, was)
                                  : group_screen(**group, name, was, context));
  return kOk;
}

int show(const Options& options, const Context& context) {
  if (options.group) return of_group(options, context);
  if (options.set || options.unset) {
    return fail(kUsage, "budget: --set and --unset need --group NAME",
                "for a program that you start, say corewise run --budget N");
  }
  const MachineChoice& choice = *options.machine;
  const Result<Budget> budget = budget_of(choice);
  if (!budget) return fail(exit_for(budget.error().status), "budget: " + budget.error().what);
  std::optional<UserPart> machine;
  if (!choice.recorded && shares_machine()) {
    machine =
        govern::standing_of_newcomer("/dev/shm", static_cast<int>(::sysconf(_SC_NPROCESSORS_ONLN)));
  }
  write_out(context.settings.json ? json_of(*budget, machine)
                                  : screen_of(*budget, machine, context));
  return kOk;
}

Action declare(CLI::App& app) {
  auto options = std::make_shared<Options>();
  options->machine = declare_machine(app);
  app.add_option_function<std::string>(
         "--group", [options](const std::string& name) { options->group = name; },
         "The budget that the running programs of this group share, and who they are")
      ->type_name("NAME");
  app.add_option_function<std::string>(
         "--set", [options](const std::string& text) { options->set = text; },
         "With --group: change it to N threads while they run; all follow at once")
      ->type_name("N");
  app.add_flag("--unset", options->unset, "With --group: undo --set");
  return [options](const Context& context) { return show(*options, context); };
}

}  // namespace

const Command kBudget = {
    .name = "budget",
    .summary = "Show how many CPUs you may use, and which setting limits you",
    .about =
        "Shows how many CPUs you may use, and which setting limits you: the machine, the CPUs "
        "of the main thread (affinity), quotas of the cgroups and those above them, a "
        "scheduler such as Slurm, or yourself (--cap or COREWISE_BUDGET). The lowest wins. A "
        "quota makes the budget a fraction: `floor` is how many threads have a CPU each (1 if the "
        "budget is below one CPU), `ceil` how many use up the budget.\n"
        "\n"
        "With --group it shows the budget that running programs share (corewise run --group), and "
        "--set changes it: each program follows at its next region or call, also those that join "
        "later, and no program gets more than its own CPUs and quotas allow. The choice ends with "
        "the group's last program. Libraries that corewise cannot limit at each call, such as "
        "Arrow, follow when the program next loads a library or reports.",
    .example =
        "corewise budget\n"
        "corewise budget --cap 1.5\n"
        "corewise budget --group nightly --set 8\n"
        "make -j$(corewise budget --json | jq .ceil)",
    .declare = declare,
};

}  // namespace corewise::cli
