#include "group_budget.h"

#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <memory>

#include "ledger_holders.h"
#include "ledger_identity.h"
#include "ledger_shm.h"

namespace corewise::govern {
namespace {

// As /proc/PID/stat counts: since the machine was started.
std::uint64_t ticks_now() {
  timespec now{};
  ::clock_gettime(CLOCK_BOOTTIME, &now);
  const auto hertz = static_cast<std::uint64_t>(::sysconf(_SC_CLK_TCK));
  return static_cast<std::uint64_t>(now.tv_sec) * hertz +
         static_cast<std::uint64_t>(now.tv_nsec) * hertz / 1'000'000'000;
}

BudgetGroup describe(const Shared& shared, const std::string& path) {
  BudgetGroup group{path, budget_in(shared), shared.chosen.load() != 0, {}};
  // One that has not run a region yet has no word.
  const auto processes = processes_with(path);
  for (const UserProcess& process : processes.value_or(std::vector<UserProcess>())) {
    if (process.pid == ::getpid()) continue;
    GroupMember& member = group.members.emplace_back(process.pid, 0, program_name(process.pid));
    for (const std::atomic<Word>& each : shared.words) {
      const Word word = each.load();
      if (identity(word).pid == static_cast<std::uint32_t>(member.pid)) {
        member.tokens += tokens(word);
      }
    }
  }
  return group;
}

Result<std::optional<BudgetGroup>> with_group(const std::string& name, const std::string& directory,
                                              std::optional<int> budget) {
  std::string why;
  const std::string path = ledger_path(directory, name);
  const std::unique_ptr<Shared, Unmap> shared(map_existing(path, name, why));
  if (!shared && !why.empty()) return Error{CW_NOT_PERMITTED, "The ledger " + path + " " + why};
  if (!shared) return std::optional<BudgetGroup>();
  BudgetGroup group = describe(*shared, path);
  if (group.members.empty()) return std::optional<BudgetGroup>();
  if (budget) {
    // Before the choice: who joins meanwhile must not take it for an old one.
    shared->chosen_at.store(ticks_now());
    shared->chosen.store(static_cast<std::uint32_t>(*budget));
  }
  return std::optional(std::move(group));
}

}  // namespace

Result<std::optional<BudgetGroup>> find_group(const std::string& name,
                                              const std::string& directory) {
  return with_group(name, directory, std::nullopt);
}

Result<std::optional<BudgetGroup>> choose_group_budget(const std::string& name, int budget,
                                                       const std::string& directory) {
  return with_group(name, directory, budget);
}

void join_group(Shared& shared, const std::string& path) {
  if (shared.chosen.load() == 0) return;
  const std::uint64_t at = shared.chosen_at.load();
  const auto members = processes_with(path);
  // Where nobody can say who is there, the group is taken to go on.
  const bool goes_on = !members || std::ranges::any_of(*members, [&](const UserProcess& process) {
    return process.pid != ::getpid() && process.start_ticks <= at;
  });
  // From now on this process vouches for the choice too.
  if (goes_on) {
    shared.chosen_at.store(ticks_now());
  } else {
    shared.chosen.store(0);
  }
}

}  // namespace corewise::govern
