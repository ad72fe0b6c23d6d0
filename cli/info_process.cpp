// corewise info --pid: the pools of a running process, or of a recorded one.
#include <fmt/format.h>

#include "exit_codes.h"
#include "format.h"
#include "info.h"
#include "layout.h"
#include "pool_table.h"
#include "thread_variables.h"

namespace corewise::cli {
namespace {

std::string json_of(const outside::Process& process) {
  Json json;
  json.open('{').field("schema_version", 1).key("pid");
  process.pid > 0 ? json.value(process.pid) : json.null();
  json.field("command", process.command).key("threads");
  process.threads > 0 ? json.value(process.threads) : json.null();
  json.field("cpus_allowed", process.cpus).key("environment").open('{');
  for (const Variable& variable : thread_variables(process.environment)) {
    json.field(variable.name, variable.value);
  }
  json.close('}').key("pools").open('[');
  for (const outside::SeenPool& seen : process.pools) {
    json.open('{');
    write_pool(json, seen.pool, seen.look.threads);
    json.key("unknown");
    seen.look.unknown.empty() ? json.null() : json.value(seen.look.unknown);
    json.close('}');
  }
  json.close(']').key("notes").open('[');
  for (const std::string& note : process.notes) json.value(note);
  json.close(']').close('}');
  return json.text() + "\n";
}

PoolRow row_of(const outside::SeenPool& seen) {
  const Pool& pool = seen.pool;
  std::string remark = seen.look.unknown;
  if (!pool.detail.empty() && pool.detail != remark) {
    remark += (remark.empty() ? "" : "; ") + pool.detail;
  }
  return {kApiNames[static_cast<std::size_t>(pool.runtime->api)],
          seen.look.threads > 0 ? std::to_string(seen.look.threads) : "?",
          scope_name(pool.scope),
          pool.runtime->name,
          pool.version,
          pool.layer,
          pool.architecture,
          pool.path,
          std::move(remark)};
}

std::string screen_of(const outside::Process& process, const InfoOptions& options,
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

  std::vector<PoolRow> rows;
  for (const outside::SeenPool& seen : process.pools) rows.push_back(row_of(seen));
  if (rows.empty()) {
    out += "No thread pools: none of its libraries is a known runtime.\n";
  } else {
    out += pool_table(rows, style, options.wide);
    if (!context.settings.quiet) {
      out += "\n" + scope_legend(rows, ", which only that thread can tell", style) +
             remarks(rows, style);
    }
  }
  return out;
}

}  // namespace

int info_of_process(const InfoOptions& options, const Context& context) {
  return with_process(
      *options.process, "info", kFailed,
      [&](const outside::Process& process, const std::string&) -> int {
        write_out(context.settings.json ? json_of(process) : screen_of(process, options, context));
        if (!context.settings.quiet && !context.settings.json) say_notes(process);
        return process.memory_refused ? kMemoryRefused : kOk;
      });
}

}  // namespace corewise::cli
