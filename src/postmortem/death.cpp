#include "death.h"

#include <signal.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "../json.h"
#include "../json_reader.h"
#include "../os/os.h"
#include "../text.h"
#include "folder.h"

namespace corewise::postmortem {
namespace {

constexpr std::size_t kLargest = std::size_t{1} << 20;

int whole_at(const JsonValue& object, std::string_view key) {
  const JsonValue* value = object.find(key);
  return value != nullptr ? value->whole().value_or(0) : 0;
}

std::string file(const std::string& path) { return std::string(file_name(path)); }

std::string signal_name(int signal) {
  constexpr std::pair<int, const char*> kNames[] = {{SIGSEGV, "SIGSEGV"},
                                                    {SIGBUS, "SIGBUS"},
                                                    {SIGILL, "SIGILL"},
                                                    {SIGFPE, "SIGFPE"},
                                                    {SIGABRT, "SIGABRT"}};
  for (const auto& [number, name] : kNames) {
    if (number == signal) return name;
  }
  return "signal " + std::to_string(signal);
}

std::string threads_in_words(const Death& death) {
  return std::to_string(death.threads) + (death.threads == 1 ? " thread" : " threads");
}

Finding ran_out(const Death& death, const DeadPool& pool, bool proven) {
  const std::string slots = std::to_string(pool.caller_slots);
  return {"death-openblas-slots", Severity::kDanger,
          file(pool.path) +
              (proven ? " ran out of work buffers: " : " probably ran out of work buffers: ") +
              "it has room for " + slots + " calls at the same time, and the process had " +
              threads_in_words(death),
          "Every thread that is inside OpenBLAS needs a buffer of its own, also where BLAS is "
          "limited to one "
          "thread. Past the last one OpenBLAS writes outside its tables, and the process dies "
          "there or later.",
          "Keep it from happening: `corewise run -- ...`, `corewise.govern()` or `%govern on` "
          "replace the table. Or have "
          "fewer callers: OMP_NUM_THREADS=" +
              slots + ", `%threads openmp=" + slots + "`."};
}

// Its code was running, or only stood on the stack: there an address may also be left from before.
Finding inside(const Death& death, const DeadPool& pool) {
  const bool running = death.module.empty() || death.module == pool.path;
  return {"death-inside-pool", running ? Severity::kDanger : Severity::kWarning,
          "it died by " + signal_name(death.signal) + " in " +
              (running ? "a thread that was in " + file(pool.path)
                       : file(death.module) + ", perhaps called by " + file(pool.path)) +
              " (" + pool.runtime + ")",
          "No known cause was found: the buffers were not exhausted" +
              std::string(death.governed ? ", and the process was governed." : "."),
          "Run it once as OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1. If it lives, the threads "
          "matter: send "
          "`corewise doctor --last --json` with the report of the error."};
}

Finding elsewhere(const Death& death) {
  return {"death-elsewhere", Severity::kWarning,
          "it died by " + signal_name(death.signal) +
              (death.module.empty() ? std::string() : " in " + file(death.module)) +
              ", outside the thread pools",
          "Nothing on the stack of the thread that died belongs to a thread pool.",
          "Python's own `python -X faulthandler` prints where in the program it was."};
}

// The buffers are taken by callers. Where the library does not tell, more threads than buffers and
// a death in its code are what speaks for it.
bool looks_exhausted(const Death& death, const DeadPool& pool) {
  return pool.inside && pool.caller_slots > 0 && death.threads > pool.caller_slots &&
         !death.governed;
}

void write(Json& json, const Death& death) {
  json.open('{').field("pid", death.pid).field("program", death.program);
  json.field("folder", death.folder).field("time", death.time);
  json.field("signal", signal_name(death.signal)).field("module", death.module);
  json.field("threads", death.threads).field("governed", death.governed);
  json.field("stderr", death.last_words).key("pools").open('[');
  for (const DeadPool& pool : death.pools) {
    json.open('{').field("runtime", pool.runtime).field("path", pool.path);
    json.field("threads", pool.threads).field("caller_slots", pool.caller_slots);
    json.field("ran_out", pool.ran_out).field("inside", pool.inside).close('}');
  }
  json.close(']').close('}');
}

}  // namespace

Result<Death> read_death(std::string_view report) {
  auto read = read_json(report);
  if (!read) return read.error();
  const JsonValue& top = *read;
  Death death;
  death.signal = whole_at(top, "signal");
  death.pid = whole_at(top, "pid");
  if (whole_at(top, "schema_version") != 1 || death.signal < 1 || death.signal > 64 ||
      death.pid < 1) {
    return Error{CW_BAD_ARGUMENT, "it is no report of a death"};
  }
  death.program = top.text_at("program");
  death.folder = top.text_at("folder");
  death.time = static_cast<std::int64_t>(std::clamp(top.number_at("time"), 0.0, 1e15));
  death.module = top.text_at("module");
  death.threads = whole_at(top, "threads");
  death.governed = top.truth_at("governed");
  death.last_words = top.text_at("stderr");
  for (const JsonValue& each : top.items_at("pools")) {
    const int now = whole_at(each, "threads");
    death.pools.push_back({each.text_at("runtime"), each.text_at("path"),
                           now > 0 ? now : whole_at(each, "threads_before"),
                           whole_at(each, "caller_slots"), each.truth_at("ran_out"), false});
  }
  for (const JsonValue& each : top.items_at("inside")) {
    const auto id = static_cast<std::size_t>(each.whole().value_or(-1));
    if (id < death.pools.size()) death.pools[id].inside = true;
  }
  return death;
}

std::vector<Finding> explain(const Death& death) {
  std::vector<Finding> findings;
  for (const DeadPool& pool : death.pools) {
    if (pool.ran_out) findings.push_back(ran_out(death, pool, true));
  }
  for (const DeadPool& pool : death.pools) {
    if (findings.empty() && looks_exhausted(death, pool)) {
      findings.push_back(ran_out(death, pool, false));
    }
  }
  for (const DeadPool& pool : death.pools) {
    if (findings.empty() && pool.inside) findings.push_back(inside(death, pool));
  }
  if (findings.empty()) findings.push_back(elsewhere(death));
  return findings;
}

Result<std::optional<Death>> last_death() {
  const std::string path = newest_report();
  if (path.empty()) return std::optional<Death>();
  const auto text = os::read_file(path, kLargest);
  if (!text) return text.error();
  auto death = read_death(*text);
  if (!death) return Error{death.error().status, path + ": " + death.error().what};
  return std::optional<Death>(*std::move(death));
}

std::string death_json(const std::optional<Death>& death) {
  Json json;
  json.open('{').field("schema_version", 1).key("death");
  death ? write(json, *death) : static_cast<void>(json.null());
  write_findings(json.key("findings"), death ? explain(*death) : std::vector<Finding>());
  json.close('}');
  return json.text();
}

}  // namespace corewise::postmortem
