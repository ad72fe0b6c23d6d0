// corewise info --pid: the pools of a running process, or of a recorded one.
#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "info_command.h"
#include "pools/format.h"
#include "reach/control_client.h"
#include "screen/layout.h"
#include "screen/pool_table.h"
#include "shell/exit_codes.h"
#include "start/thread_variables.h"

namespace corewise::cli {
namespace {

// What the process itself answers over its control socket; no value if it does not answer.
std::optional<Answer> told_by(const outside::Process& process) {
  constexpr int kPatienceMs = 2000;
  if (process.pid == 0) return std::nullopt;
  auto answer = ask_process(process.pid, "{\"request\":\"info\"}", kPatienceMs);
  return answer ? std::optional(*std::move(answer)) : std::nullopt;
}

const JsonValue* told_of(const Pool& pool, const std::optional<Answer>& told) {
  if (!told) return nullptr;
  for (const JsonValue& one : told->value.items_at("pools")) {
    if (one.text_at("path") == pool.path && one.text_at("runtime") == pool.runtime->name) {
      return &one;
    }
  }
  return nullptr;
}

// Fills in the counts that cannot be read from outside, or that change there with every call.
void complete(outside::Process& process, const std::optional<Answer>& told) {
  for (outside::OutsidePool& seen : process.pools) {
    const JsonValue* one = told_of(seen.pool, told);
    if (one == nullptr) continue;
    seen.count = {static_cast<int>(one->number_at("threads")), ""};
    if (seen.count.threads == 0) seen.count.unknown = one->text_at("detail");
    seen.pool.version = one->text_at("version");
    const double limit = one->number_at("limit");
    if (limit > 0) {
      seen.pool.detail = fmt::format("limited to {:.0f} over the control socket", limit);
    }
  }
}

std::string json_of(const outside::Process& process, const std::optional<Answer>& told) {
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
  for (const outside::OutsidePool& seen : process.pools) {
    json.open('{');
    write_pool(json, seen.pool, seen.count.threads);
    json.key("unknown");
    seen.count.unknown.empty() ? json.null() : json.value(seen.count.unknown);
    const JsonValue* one = told_of(seen.pool, told);
    const int limit = one != nullptr ? static_cast<int>(one->number_at("limit")) : 0;
    json.key("limit");
    limit > 0 ? json.value(limit) : json.null();
    json.close('}');
  }
  json.close(']').key("notes").open('[');
  for (const std::string& note : process.notes) json.value(note);
  json.close(']').field("control", told.has_value()).close('}');
  return json.text() + "\n";
}

ShownPool row_of(const outside::OutsidePool& seen) {
  const Pool& pool = seen.pool;
  std::string remark = seen.count.unknown;
  if (!pool.detail.empty() && pool.detail != remark) {
    remark += (remark.empty() ? "" : "; ") + pool.detail;
  }
  return {kApiNames[static_cast<std::size_t>(pool.runtime->api)],
          seen.count.threads > 0 ? std::to_string(seen.count.threads) : "?",
          scope_name(pool.scope),
          pool.runtime->name,
          pool.version,
          pool.layer,
          pool.architecture,
          pool.path,
          std::move(remark)};
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

  std::vector<ShownPool> rows;
  for (const outside::OutsidePool& seen : process.pools) rows.push_back(row_of(seen));
  if (rows.empty()) {
    out += folded("No thread pools: none of its libraries is a known runtime.", 0, 0, style.width) +
           "\n";
  } else {
    out += pool_table(rows, style, options.wide);
    if (!context.settings.quiet) {
      out += "\n" +
             scope_legend(rows,
                          told ? "; shown is what new threads begin with"
                               : ", which only that thread can tell",
                          style) +
             remarks(rows, style);
    }
  }
  return out;
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
