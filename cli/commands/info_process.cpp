// corewise info --pid: the pools of a running process, or of a recorded one.
#include <fmt/format.h>

#include <optional>

#include "control/answer_records.h"
#include "info_command.h"
#include "pools/pool_facts.h"
#include "reach/control_client.h"
#include "screen/layout.h"
#include "screen/pool_table.h"
#include "shell/exit_codes.h"
#include "start/thread_variables.h"

namespace corewise::cli {
namespace {

using Told = std::optional<control::InfoAnswer>;

// What the process itself answers over its control socket; no value if it does not answer.
Told told_by(const outside::Process& process) {
  constexpr int kPatienceMs = 2000;
  if (process.pid == 0) return std::nullopt;
  const auto answer =
      ask_process(process.pid, {.command = control::Request::Command::kInfo}, kPatienceMs);
  return answer ? Told(control::InfoAnswer::read(answer->value)) : std::nullopt;
}

const control::InfoAnswer::InfoPool* told_of(const Pool& pool, const Told& told) {
  if (!told) return nullptr;
  for (const auto& one : told->pools) {
    if (one.facts.path == pool.path && one.facts.runtime == pool.runtime->name) return &one;
  }
  return nullptr;
}

// Fills in the counts that cannot be read from outside, or that change there with every call.
void complete(outside::Process& process, const Told& told) {
  for (outside::OutsidePool& seen : process.pools) {
    const auto* one = told_of(seen.pool, told);
    if (one == nullptr) continue;
    seen.count = {one->facts.threads, one->facts.threads == 0 ? one->facts.detail : ""};
    seen.pool.version = one->facts.version;
    if (one->limit > 0) {
      seen.pool.detail = fmt::format("limited to {} over the control socket", one->limit);
    }
  }
}

std::string json_of(const outside::Process& process, const Told& told) {
  Json json;
  json.open('{').field("schema_version", 1).known("pid", process.pid);
  json.field("command", process.command).known("threads", process.threads);
  json.field("cpus_allowed", process.cpus).key("environment").open('{');
  for (const Variable& variable : thread_variables(process.environment)) {
    json.field(variable.name, variable.value);
  }
  json.close('}').key("pools").open('[');
  for (const outside::OutsidePool& seen : process.pools) {
    json.open('{');
    write_pool(json, facts_of(seen.pool, seen.count.threads));
    json.known("unknown", seen.count.unknown);
    const auto* one = told_of(seen.pool, told);
    json.known("limit", one != nullptr ? one->limit : 0).close('}');
  }
  json.close(']');
  write_other_libraries(json, process.libraries);
  json.array("notes", process.notes).field("control", told.has_value()).close('}');
  return json.text() + "\n";
}

PoolFacts row_of(const outside::OutsidePool& seen) {
  PoolFacts row = facts_of(seen.pool, seen.count.threads);
  row.detail = seen.count.unknown;
  const std::string& detail = seen.pool.detail;
  if (!detail.empty() && detail != row.detail)
    row.detail += (row.detail.empty() ? "" : "; ") + detail;
  return row;
}

std::string screen_of(const outside::Process& process, bool told, const InfoOptions& options,
                      const Context& context) {
  const Style style = style_for(context.settings);
  const std::string who = process.pid > 0 ? fmt::format("Process {}", process.pid) : "Recording";
  const std::string command = printable(process.command, style.unicode);
  const int room = style.width - width_of(who) - 2;
  std::string out = painted(who, Paint::kBold, style) + ": " +
                    (options.wide ? command : shortened(command, room, style.unicode)) + "\n";
  std::string facts;
  const auto fact = [&](const std::string& text) { facts += (facts.empty() ? "" : "; ") + text; };
  if (process.threads > 0) {
    fact(fmt::format("{} thread{} now", process.threads, process.threads == 1 ? "" : "s"));
  }
  if (!process.cpus.empty()) fact("may run on CPUs " + printable(process.cpus, style.unicode));
  out += facts + "\n";
  for (const Variable& variable : thread_variables(process.environment)) {
    out += fmt::format("  {}={}\n", printable(variable.name, style.unicode),
                       printable(variable.value, style.unicode));
  }
  out += '\n';

  std::vector<PoolFacts> rows;
  for (const outside::OutsidePool& seen : process.pools) rows.push_back(row_of(seen));
  const std::string others = other_libraries(process.libraries, style);
  if (rows.empty() && others.empty()) {
    out += folded("No thread pools: none of its libraries is a known runtime.", 0, 0, style.width) +
           "\n";
  } else if (!rows.empty()) {
    out += pool_table(rows, style, options.wide);
    if (!context.settings.quiet) {
      out += "\n" +
             scope_legend(rows,
                          told ? "; shown is what new threads begin with"
                               : ", which cannot be read from outside",
                          style) +
             remarks(rows, style);
    }
    if (!others.empty()) out += '\n';
  }
  return out + others;
}

}  // namespace

int info_of_process(const InfoOptions& options, const Context& context) {
  return with_process(*options.process, "info", kFailed,
                      [&](const outside::Process& seen, const std::string&) -> int {
                        outside::Process process = seen;
                        const auto told = told_by(process);
                        complete(process, told);
                        write_out(context.settings.json
                                      ? json_of(process, told)
                                      : screen_of(process, told.has_value(), options, context));
                        if (!context.settings.quiet && !context.settings.json) say_notes(process);
                        return process.memory_refused && !told ? kMemoryRefused : kOk;
                      });
}

}  // namespace corewise::cli
