#include "force.h"

#include <fmt/format.h>
#include <sys/uio.h>

#include <cerrno>
#include <optional>
#include <string>

#include "base/error.h"
#include "limits/match.h"
#include "outside/process.h"

namespace corewise::cli {
namespace {

using Transfer = ssize_t(pid_t, const iovec*, unsigned long, const iovec*, unsigned long,
                         unsigned long);

std::optional<Error> transfer(Transfer* with, int pid, std::uintptr_t at, int& number) {
  const iovec here{&number, sizeof number};
  const iovec there{reinterpret_cast<void*>(at), sizeof number};
  if (with(pid, &here, 1, &there, 1, 0) == static_cast<ssize_t>(sizeof number)) return std::nullopt;
  return Error{errno == EPERM ? CW_NOT_PERMITTED : CW_IO_ERROR,
               fmt::format("its memory may not be written to: {}", system_says(errno))};
}

// Reads, writes and reads again, since the process keeps running.
std::string store(int pid, const outside::OutsidePool& seen, int wanted) {
  int now = 0;
  if (auto error = transfer(::process_vm_readv, pid, seen.count.count_at, now)) return error->what;
  if (now != seen.count.threads) return "its count changed while it was looked at: try again";
  int stored = wanted;
  if (auto error = transfer(::process_vm_writev, pid, seen.count.count_at, stored)) {
    return error->what;
  }
  if (auto error = transfer(::process_vm_readv, pid, seen.count.count_at, now)) return error->what;
  return now == wanted ? "" : "the process set another count at once";
}

void force(int pid, const outside::OutsidePool& seen, bool dry_run, control::PoolOutcome& outcome) {
  if (seen.count.count_at == 0 || seen.count.threads == 0) {
    outcome.reason = seen.count.unknown.empty()
                         ? "its count cannot be changed from outside: each thread may have its own"
                         : seen.count.unknown;
    return;
  }
  if (outcome.asked >= seen.count.threads) return;  // never raise a count
  if (!dry_run) outcome.reason = store(pid, seen, outcome.asked);
  if (outcome.reason.empty()) outcome.after = outcome.asked;
}

control::PoolOutcome outcome_of(const outside::OutsidePool& seen, int asked) {
  control::PoolOutcome outcome;
  outcome.pool = static_cast<int>(seen.pool.id);
  outcome.api = api_name(seen.pool.runtime->api);
  outcome.runtime = seen.pool.runtime->name;
  outcome.path = seen.pool.path;
  outcome.asked = asked;
  outcome.before = outcome.after = seen.count.threads;
  outcome.reach =
      seen.count.count_at != 0 ? "the whole process, until the program sets it" : "nothing";
  return outcome;
}

}  // namespace

Result<control::LimitAnswer> limit_by_force(int pid, const std::vector<Rule>& rules, bool dry_run) {
  const auto process = outside::read_process(pid);
  if (!process) return process.error();
  if (process->memory_refused) {
    return Error{CW_NOT_PERMITTED,
                 fmt::format("the memory of process {} may not be read or written", pid)};
  }
  std::vector<const Pool*> pools;
  for (const outside::OutsidePool& seen : process->pools) pools.push_back(&seen.pool);
  std::vector<Rule> resolved = rules;
  if (auto error = resolve_names(resolved, pools)) return *std::move(error);
  control::LimitAnswer answer{pid, dry_run, true, {}, names_without_pool(rules, resolved, pools)};
  for (const outside::OutsidePool& seen : process->pools) {
    const int wanted = wanted_by(resolved, seen.pool);
    if (wanted > 0)
      force(pid, seen, dry_run, answer.outcomes.emplace_back(outcome_of(seen, wanted)));
  }
  return answer;
}

}  // namespace corewise::cli
