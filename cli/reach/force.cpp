#include "force.h"

#include <fmt/format.h>
#include <sys/uio.h>

#include <cerrno>
#include <optional>
#include <string>
#include <system_error>

#include "base/json.h"
#include "limits/match.h"
#include "outside/process.h"

namespace corewise::cli {
namespace {

struct Outcome {
  const outside::OutsidePool* seen = nullptr;
  int after = 0;
  std::string reason;  // why the count is not what was asked for
};

using Transfer = ssize_t(pid_t, const iovec*, unsigned long, const iovec*, unsigned long,
                         unsigned long);

std::optional<Error> transfer(Transfer* with, int pid, std::uintptr_t at, int& number) {
  const iovec here{&number, sizeof number};
  const iovec there{reinterpret_cast<void*>(at), sizeof number};
  if (with(pid, &here, 1, &there, 1, 0) == static_cast<ssize_t>(sizeof number)) return std::nullopt;
  return Error{
      errno == EPERM ? CW_NOT_PERMITTED : CW_IO_ERROR,
      fmt::format("its memory may not be written to: {}", std::generic_category().message(errno))};
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

Outcome force(int pid, const outside::OutsidePool& seen, int wanted, bool dry_run) {
  Outcome outcome{&seen, seen.count.threads, {}};
  if (seen.count.count_at == 0 || seen.count.threads == 0) {
    outcome.reason = seen.count.unknown.empty()
                         ? "its count cannot be changed from outside: each thread may have its own"
                         : seen.count.unknown;
    return outcome;
  }
  if (wanted >= seen.count.threads) return outcome;  // never raise a count
  if (!dry_run) outcome.reason = store(pid, seen, wanted);
  if (outcome.reason.empty()) outcome.after = wanted;
  return outcome;
}

void write(Json& json, const Outcome& outcome, int asked) {
  const auto count = [&](const char* key, int threads) {
    json.key(key);
    threads > 0 ? json.value(threads) : json.null();
  };
  const Pool& pool = outcome.seen->pool;
  json.open('{').field("pool", static_cast<std::uint64_t>(pool.id));
  json.field("api", kApiNames[pool.runtime->api]).field("runtime", pool.runtime->name);
  json.field("path", pool.path).field("asked", asked);
  count("before", outcome.seen->count.threads);
  count("after", outcome.after);
  const bool reached = outcome.seen->count.count_at != 0;
  json.field("reach", reached ? "the whole process, until the program sets it" : "nothing");
  json.field("reason", outcome.reason).close('}');
}

}  // namespace

Result<Answer> limit_by_force(int pid, const std::vector<Rule>& rules, bool dry_run) {
  const auto process = outside::read_process(pid);
  if (!process) return process.error();
  if (process->memory_refused) {
    return Error{CW_NOT_PERMITTED,
                 fmt::format("the memory of process {} may not be read or written", pid)};
  }
  std::vector<const Pool*> pools;
  for (const outside::OutsidePool& seen : process->pools) pools.push_back(&seen.pool);
  std::vector<Rule> settled = rules;
  if (auto error = settle_names(settled, pools)) return *std::move(error);
  Json json;
  json.open('{').field("schema_version", 1).field("pid", pid).field("dry_run", dry_run);
  json.field("forced", true).key("outcomes").open('[');
  for (const outside::OutsidePool& seen : process->pools) {
    const int wanted = wanted_by(settled, seen.pool);
    if (wanted > 0) write(json, force(pid, seen, wanted, dry_run), wanted);
  }
  json.close(']').array("not_loaded", names_without_pool(rules, settled, pools)).close('}');
  auto value = read_json(json.text());
  if (!value) return value.error();
  return Answer{*std::move(value), json.text()};
}

}  // namespace corewise::cli
