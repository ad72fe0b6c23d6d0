// corewise plan: the budget divided over processes x OpenMP x BLAS.
#include <fmt/format.h>

#include "advice/plan.h"
#include "base/text.h"
#include "facts/plan_input.h"
#include "python/import_modules.h"
#include "screen/layout.h"
#include "shell/commands.h"
#include "shell/exit_codes.h"
#include "shell/machine_choice.h"
#include "start/shell_lines.h"

namespace corewise::cli {
namespace {

struct Options {
  TypedCounts counts;
  std::shared_ptr<ImportChoice> import;
  std::shared_ptr<MachineChoice> machine;
  std::shared_ptr<std::string> shell;
  bool env = false;
};

// Leaves `count` alone where the option was not given.
template <class Count>
std::optional<Error> read_count(const TypedCounts& counts, const char* option, Count& count) {
  const auto typed = counts.find(option);
  if (typed == counts.end()) return std::nullopt;
  const Result<int> parsed = parse_count(option, typed->second);
  if (!parsed) return parsed.error();
  count = *parsed;
  return std::nullopt;
}

std::optional<Error> read_counts(const TypedCounts& counts, PlanInput& input) {
  if (auto error = read_count(counts, "processes", input.processes)) return error;
  if (auto error = read_count(counts, "openmp", input.wishes.openmp)) return error;
  return read_count(counts, "blas", input.wishes.blas);
}

std::string lines_of(const Plan& plan, const std::string& shell) {
  Changes changes;
  for (const PlanVariable& variable : plan.environment) {
    changes.set.push_back({variable.name, std::to_string(variable.value)});
  }
  changes.remove = overruling_names();
  return shell_lines(changes, shell);
}

std::string screen_of(const Plan& plan, const Context& context) {
  const Style style = style_for(context.settings);
  const char* times = style.unicode ? "×" : "x";
  std::string head = fmt::format("Plan for {}: {} {} {} {} {} = {}", cpus_in_words(plan.cpus),
                                 plan.processes.count, times, plan.openmp.count, times,
                                 plan.blas.count, counted(plan.threads, "thread"));
  if (plan.unused > 0) head += fmt::format(", {} left over", plan.unused);
  std::string out = painted(folded(head, 0, 2, style.width), Paint::kBold, style) + "\n\n";

  std::vector<std::vector<std::string>> levels;
  for (const PlanLevel* level : {&plan.processes, &plan.openmp, &plan.blas}) {
    levels.push_back({level->level, std::to_string(level->count), level->reason});
  }
  out += table({{"LEVEL"}, {"COUNT", true}, {"WHY"}}, levels, style);

  if (!plan.limits.empty()) {
    std::vector<std::vector<std::string>> limits;
    for (const PlanLimit& limit : plan.limits) {
      limits.push_back({api_name(limit.api), std::to_string(limit.threads), limit.reason,
                        printable(limit.pool, style.unicode)});
    }
    out += "\n" + table({{"API"}, {"LIMIT", true}, {"WHY"}, {"POOL"}}, limits, style);
  }
  std::string variables;
  for (const PlanVariable& variable : plan.environment) {
    variables += fmt::format(" {}={}", variable.name, variable.value);
  }
  out += "\n" + folded("For programs started later:" + variables, 0, 2, style.width) + "\n";
  if (!context.settings.quiet) {
    out += folded(
               "--env prints these as lines for a shell; in Python, corewise.plan().apply() sets "
               "them.",
               0, 0, style.width) +
           "\n";
  }
  return out;
}

int show(const Options& options, const Context& context, const PlanInput& input) {
  const Result<Plan> plan = make_plan(input);
  if (!plan) return fail(exit_for(plan.error().status), "plan: " + plan.error().what);
  write_out(options.env             ? lines_of(*plan, *options.shell)
            : context.settings.json ? plan_json(*plan) + "\n"
                                    : screen_of(*plan, context));
  return kOk;
}

int plan(const Options& options, const Context& context) {
  if (options.env && context.settings.json) {
    return fail(kUsage, "plan: --env and --json are two forms of one answer: choose one");
  }
  if (!options.shell->empty() && !options.env) {
    return fail(kUsage, "plan: --shell is for the lines that --env prints");
  }
  if (const auto why = python_without_modules(*options.import)) {
    return fail(kUsage, fmt::format("plan: {}", *why));
  }
  PlanInput input;
  if (const auto error = read_counts(options.counts, input)) {
    return fail(kUsage, "plan: " + error->what);
  }
  const Result<Budget> budget = budget_of(*options.machine);
  if (!budget) return fail(exit_for(budget.error().status), "plan: " + budget.error().what);
  for (const std::string& finding : budget->findings) note(context.settings, finding);
  input.cpus = budget->cpus;
  name_variables(input);
  if (options.import->modules.empty()) return show(options, context, input);
  return with_imports(*options.import, ImportTask::kPools, context.settings, kFailed,
                      [&](const Imported& imported, const std::string&) {
                        input.pools = imported.pools;
                        // The program that we plan for does not run yet.
                        for (PoolFacts& pool : input.pools) pool.threads = 0;
                        return show(options, context, input);
                      });
}

Action declare(CLI::App& app) {
  auto options = std::make_shared<Options>();
  const auto count = [&](const char* name, const char* text) {
    app.add_option_function<std::string>(
           fmt::format("--{}", name),
           [options, name](const std::string& typed) { options->counts[name] = typed; }, text)
        ->type_name("N");
  };
  count("processes", "Processes that the program starts (default: not known, taken as 1)");
  count("openmp", "The most OpenMP threads of each process");
  count("blas", "The most threads of each BLAS call");
  options->import = declare_import(
      app, "Import these modules in a Python of their own and plan for the pools they bring");
  options->machine = declare_machine(app);
  app.add_flag("--env", options->env, "Print the environment variables, as lines for a shell");
  options->shell = declare_shell(app);
  return [options](const Context& context) { return plan(*options, context); };
}

}  // namespace

const Command kPlan = {
    .name = "plan",
    .summary = "Divide the budget over processes, OpenMP and BLAS",
    .about =
        "Says how many processes, OpenMP threads in each, and BLAS threads in each call keep "
        "all your CPUs busy and none overbooked, and why. Numbers that you give are upper "
        "bounds. Without --import it assumes a program with both OpenMP and BLAS.\n"
        "\n"
        "It sets nothing: evaluate what --env prints, or start programs with `corewise run`.",
    .example =
        "corewise plan --processes 4 -i sklearn\n"
        "eval \"$(corewise plan --processes 4 --env)\"\n"
        "corewise plan --blas 2 --json | jq .levels",
    .declare = declare,
};

}  // namespace corewise::cli
