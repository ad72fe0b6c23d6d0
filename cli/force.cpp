#include "force.h"

#include <fmt/format.h>
#include <sys/uio.h>

#include <algorithm>
#include <cerrno>
#include <optional>
#include <string_view>
#include <system_error>

#include "exit_codes.h"
#include "json.h"
#include "layout.h"
#include "outside.h"
#include "process_choice.h"

namespace corewise::cli {
namespace {

struct Outcome {
  const outside::SeenPool* seen = nullptr;
  int after = 0;
  std::string reason;  // why the count is not what was asked for
};

std::string_view file_of(const Pool& pool) {
  return std::string_view(pool.path).substr(pool.path.rfind('/') + 1);
}

// The tightest of the counts that speak of a pool; 0: none does.
int wanted_of(const Pool& pool, const std::vector<ForcedCount>& counts) {
  int most = 0;
  for (const ForcedCount& count : counts) {
    const bool speaks = count.is_api ? count.name == kApiNames[pool.runtime->api]
                                     : count.name == pool.runtime->name ||
                                           count.name == pool.prefix || count.name == file_of(pool);
    if (speaks) most = most == 0 ? count.threads : std::min(most, count.threads);
  }
  return most;
}

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

// Looks, stores, and looks again: the process goes on meanwhile.
std::string store(int pid, const outside::SeenPool& seen, int wanted) {
  int now = 0;
  if (auto error = transfer(::process_vm_readv, pid, seen.look.count_at, now)) return error->what;
  if (now != seen.look.threads) return "its count changed while it was looked at: try again";
  int stored = wanted;
  if (auto error = transfer(::process_vm_writev, pid, seen.look.count_at, stored)) {
    return error->what;
  }
  if (auto error = transfer(::process_vm_readv, pid, seen.look.count_at, now)) return error->what;
  return now == wanted ? "" : "the process set another count at once";
}

Outcome force(int pid, const outside::SeenPool& seen, int wanted, bool dry_run) {
  Outcome outcome{&seen, seen.look.threads, {}};
  if (seen.look.count_at == 0 || seen.look.threads == 0) {
    outcome.reason = seen.look.unknown.empty()
                         ? "its count cannot be changed from outside: each thread may have its own"
                         : seen.look.unknown;
    return outcome;
  }
  if (wanted >= seen.look.threads) return outcome;  // nothing is ever raised
  if (!dry_run) outcome.reason = store(pid, seen, wanted);
  if (outcome.reason.empty()) outcome.after = wanted;
  return outcome;
}

void show(const std::vector<Outcome>& outcomes, bool dry_run, const Context& context) {
  const Style style = style_for(context.settings);
  std::vector<std::vector<std::string>> rows;
  std::string notes;
  for (const Outcome& outcome : outcomes) {
    const Pool& pool = outcome.seen->pool;
    const auto count = [](int threads) { return threads > 0 ? std::to_string(threads) : "?"; };
    const std::string file = printable(file_of(pool), style.unicode);
    rows.push_back({kApiNames[pool.runtime->api], count(outcome.seen->look.threads),
                    count(outcome.after), pool.runtime->name, file});
    if (!outcome.reason.empty()) {
      notes += folded(fmt::format("{}: {}.", file, outcome.reason), 0, 2, style.width) + "\n";
    }
  }
  std::string out =
      table({{"API"}, {"BEFORE", true}, {"NOW", true}, {"RUNTIME"}, {"LIBRARY"}}, rows, style);
  if (!context.settings.quiet) {
    out += "\n" + notes;
    out +=
        folded("By force: the whole process, from its next call on, until it sets a count itself.",
               0, 2, style.width) +
        "\n";
    if (dry_run) out += "Dry run: nothing was changed.\n";
  }
  write_out(out);
}

void show_json(int pid, const std::vector<Outcome>& outcomes) {
  Json json;
  json.open('{').field("schema_version", 1).field("pid", pid).field("forced", true);
  json.key("outcomes").open('[');
  for (const Outcome& outcome : outcomes) {
    const Pool& pool = outcome.seen->pool;
    json.open('{').field("api", kApiNames[pool.runtime->api]).field("runtime", pool.runtime->name);
    json.field("path", pool.path).field("before", outcome.seen->look.threads);
    json.field("after", outcome.after).field("reach", "process").field("reason", outcome.reason);
    json.close('}');
  }
  write_out(json.close(']').close('}').text() + "\n");
}

}  // namespace

int limit_by_force(int pid, const std::vector<ForcedCount>& counts, bool dry_run,
                   const Context& context) {
  const auto process = outside::read_process(pid);
  if (!process) {
    return fail(exit_for(process.error().status), "limit: " + process.error().what,
                remedy_for(process.error().status, "limit", pid));
  }
  if (process->memory_refused) {
    return fail(kNotPermitted,
                fmt::format("limit: the memory of process {} may not be read or written", pid),
                remedy_for(CW_NOT_PERMITTED, "limit", pid));
  }
  std::vector<Outcome> outcomes;
  for (const outside::SeenPool& seen : process->pools) {
    const int wanted = wanted_of(seen.pool, counts);
    if (wanted > 0) outcomes.push_back(force(pid, seen, wanted, dry_run));
  }
  if (context.settings.json) {
    show_json(pid, outcomes);
  } else if (outcomes.empty()) {
    write_out(fmt::format("Process {} has no such pool.\n", pid));
  } else {
    show(outcomes, dry_run, context);
  }
  return std::ranges::all_of(outcomes, [](const Outcome& each) { return each.reason.empty(); })
             ? kOk
             : kNotTaken;
}

}  // namespace corewise::cli
