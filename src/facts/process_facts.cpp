#include "process_facts.h"

#include <unistd.h>

#include <algorithm>
#include <string_view>

#include "advice/core_types.h"
#include "base/text.h"
#include "budget/budget.h"
#include "budget/thread_binding.h"
#include "elf/elf_reader.h"
#include "forked.h"
#include "govern/govern.h"
#include "govern/ledger/ledger_holders.h"
#include "limits/limit.h"
#include "observe/sample.h"
#include "os/patch.h"
#include "plan_input.h"
#include "pools/discover.h"
#include "pools/module_names.h"

namespace corewise {
namespace {

void add_variable(ProcessFacts& facts, std::string_view entry) {
  const std::size_t equals = entry.find('=');
  if (equals == entry.npos) return;
  facts.environment[std::string(entry.substr(0, equals))] = entry.substr(equals + 1);
}

// Only a caller's own cap can make compute_budget() fail, and there is none here.
void add_budget(ProcessFacts& facts, const os::Machine& machine) {
  const Result<Budget> budget = compute_budget(machine);
  if (!budget) return;
  facts.budget = budget->cpus;
  for (const Constraint& one : budget->constraints) {
    if (!one.binding) continue;
    facts.budget_reason += (facts.budget_reason.empty() ? "" : "; ") +
                           std::string(source_name(one.source)) + ": " + one.where;
  }
  facts.best_architecture = best_core_type(machine);
}

std::vector<std::string> libgomps(const ProcessFacts& facts) {
  std::vector<std::string> paths;
  for (const PoolFacts& pool : facts.pools) {
    if (pool.runtime == "libgomp") paths.push_back(pool.path);
  }
  return paths;
}

// As OMP_NUM_THREADS says, else one thread for each CPU that the process may run on.
int initial_team(const ProcessFacts& facts, int cpus) {
  const auto asked = facts.environment.find("OMP_NUM_THREADS");
  if (asked != facts.environment.end()) {
    const auto first = first_count(asked->second);
    if (first && *first >= 1 && *first <= CW_MAX_THREADS) return *first;
  }
  return cpus;
}

// An OpenMP runtime that we may not ask yet will take its count from the environment at first use.
PoolFacts facts_now(const ProcessFacts& facts, const Pool& pool) {
  const bool starts = pool.runtime->api == CW_API_OPENMP && !pool.may_be_asked();
  const int unseen = starts ? initial_team(facts, os::usable_cpus()) : 0;
  return facts_of(pool, pool.threads().value_or(unseen));
}

// The dyn-var of the calling thread.
bool is_dynamic(const Pool& pool) {
  if (pool.runtime->api != CW_API_OPENMP || !pool.may_be_asked()) return false;
  const std::uintptr_t at = ModuleNames(pool).exported("omp_get_dynamic").address;
  return at != 0 && reinterpret_cast<int (*)()>(at)() != 0;
}

std::vector<std::string> modules_that_call(std::string_view function) {
  std::vector<std::string> paths;
  os::visit_modules([&](const os::LoadedModule& module) {
    if (module.dynamic == 0) return;
    const elf::LiveSymbols symbols(module);
    if (!symbols || !symbols->imported(function)) return;
    paths.push_back(module.path.empty() ? "the program" : module.path);
  });
  return paths;
}

void add_what_goes_on(ProcessFacts& facts) {
  for (std::size_t id = 0; id < facts.pools.size(); ++id) {
    facts.pools[id].dynamic = is_dynamic(pool_at(id));
  }
  if (std::ranges::any_of(facts.pools, &PoolFacts::dynamic)) {
    facts.sets_dynamic = modules_that_call("omp_set_dynamic");
  }
  const std::vector<int> spinning = observe::spinning_workers();
  for (std::size_t id = 0; id < std::min(spinning.size(), facts.pools.size()); ++id) {
    facts.pools[id].spinning = spinning[id];
  }
}

}  // namespace

ProcessFacts facts_of_this_process() {
  ProcessFacts facts;
  const OwnMachine machine;
  add_budget(facts, machine);
  // The environment at the start, so that a variable that the program has removed still explains a
  // count; and the one now, since what a program sets before it loads a library counts too.
  const std::string started = machine.read("/proc/self/environ").text;
  for (std::string_view rest = started; !rest.empty();) add_variable(facts, cut(rest, '\0'));
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    add_variable(facts, *entry);
  }
  for (std::size_t id = 0; id < pool_count(); ++id) {
    facts.pools.push_back(facts_now(facts, pool_at(id)));
  }
  mark_governed(facts.pools);
  add_what_goes_on(facts);
  if (const auto own = govern::ledger_now()) {
    facts.ledgers = govern::held_ledgers();
    std::erase_if(facts.ledgers,
                  [&](const HeldLedger& ledger) { return ledger.path != own->path; });
  }
  facts.corewise_limits_open = limits_in_force();
  facts.forked_after_openmp = forked_after_openmp("/proc", ::getpid(), libgomps(facts));
  return facts;
}

ProcessFacts facts_of_process(const outside::Process& process, const std::string& folder) {
  ProcessFacts facts;
  facts.from_outside = true;
  facts.pid = process.pid;
  for (const std::string& entry : process.environment) add_variable(facts, entry);
  const bool live = process.pid > 0;
  const os::ProcessMachine machine(folder, process.environment, live);
  // The main thread's CPUs, or those that it had before OpenMP bound it.
  CpuSet cpus = parse_cpulist(process.cpus).value_or(CpuSet());
  if (!binding_request(machine).empty()) cpus |= masks_of_threads(machine);
  const int team = initial_team(facts, cpus.count());
  for (const outside::OutsidePool& seen : process.pools) {
    const bool starts = seen.count.threads == 0 && seen.pool.runtime->api == CW_API_OPENMP;
    facts.pools.push_back(facts_of(seen.pool, starts ? team : seen.count.threads));
  }
  add_budget(facts, machine);
  if (live) {
    facts.forked_after_openmp = forked_after_openmp("/proc", process.pid, libgomps(facts));
    facts.ledgers = govern::held_ledgers();
    std::erase_if(facts.ledgers, [&](const HeldLedger& ledger) {
      return std::ranges::find(ledger.members, process.pid) == ledger.members.end();
    });
  }
  return facts;
}

}  // namespace corewise
