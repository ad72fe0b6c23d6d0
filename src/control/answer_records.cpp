#include "answer_records.h"

#include <algorithm>

#include "base/json.h"

namespace corewise::control {
namespace {

Json begin(int pid) {
  Json json;
  json.open('{').field("schema_version", 1).field("pid", pid);
  return json;
}

void begin(Json& json, const PoolOutcome& outcome) {
  json.open('{').field("pool", outcome.pool).field("api", outcome.api);
  json.field("runtime", outcome.runtime).field("path", outcome.path);
}

void write_counts(Json& json, const PoolOutcome& outcome) {
  json.known("before", outcome.before).known("after", outcome.after);
  json.known("at_most", outcome.at_most);
}

std::vector<PoolOutcome> read_outcomes(const JsonValue& answer, const char* key) {
  std::vector<PoolOutcome> outcomes;
  for (const JsonValue& from : answer.items_at(key)) {
    outcomes.push_back({from.count_at("pool"), from.text_at("api"), from.text_at("runtime"),
                        from.text_at("path"), from.count_at("asked"), from.count_at("before"),
                        from.count_at("after"), from.count_at("at_most"), from.text_at("reach"),
                        from.text_at("reason")});
  }
  return outcomes;
}

std::vector<std::string> read_texts(const JsonValue& object, const char* key) {
  std::vector<std::string> texts;
  for (const JsonValue& text : object.items_at(key)) texts.push_back(text.text);
  return texts;
}

}  // namespace

std::string refusal(int status, std::string_view what) {
  Json json;
  json.open('{').field("schema_version", 1).key("error").open('{');
  json.field("status", status).field("kind", status_name(static_cast<Status>(status)));
  return json.field("message", what).close('}').close('}').text();
}

Result<JsonValue> read_answer(std::string_view line) {
  auto answer = read_json(line);
  if (!answer) return answer;
  if (const JsonValue* error = answer->find("error")) {
    const int status = error->known_count_at("status").value_or(CW_INTERNAL);
    return Error{static_cast<Status>(status), error->text_at("message")};
  }
  return answer;
}

std::string InfoAnswer::json() const {
  Json json = begin(pid);
  json.field("version", version).field("governed", governed).field("limits_open", limits_open);
  json.key("pools").open('[');
  for (const InfoPool& pool : pools) {
    json.open('{');
    write_pool(json, pool.facts);
    json.known("limit", pool.limit).close('}');
  }
  return json.close(']').close('}').text();
}

InfoAnswer InfoAnswer::read(const JsonValue& answer) {
  InfoAnswer info{answer.count_at("pid"),
                  answer.text_at("version"),
                  answer.truth_at("governed"),
                  answer.truth_at("limits_open"),
                  {}};
  for (const JsonValue& pool : answer.items_at("pools")) {
    info.pools.push_back({read_pool(pool), pool.count_at("limit")});
  }
  return info;
}

bool LimitAnswer::taken() const {
  if (forced && outcomes.empty()) return false;
  return std::ranges::all_of(outcomes,
                             [](const PoolOutcome& outcome) { return outcome.reason.empty(); });
}

std::string LimitAnswer::json() const {
  Json json = begin(pid);
  json.field("dry_run", dry_run);
  if (forced) json.field("forced", true);
  json.key("outcomes").open('[');
  for (const PoolOutcome& outcome : outcomes) {
    begin(json, outcome);
    json.field("asked", outcome.asked);
    write_counts(json, outcome);
    json.field("reach", outcome.reach).field("reason", outcome.reason).close('}');
  }
  return json.close(']').array("not_loaded", not_loaded).close('}').text();
}

LimitAnswer LimitAnswer::read(const JsonValue& answer) {
  return {answer.count_at("pid"), answer.truth_at("dry_run"), answer.truth_at("forced"),
          read_outcomes(answer, "outcomes"), read_texts(answer, "not_loaded")};
}

std::string RestoreAnswer::json() const {
  Json json = begin(pid);
  json.key("restored").open('[');
  for (const PoolOutcome& outcome : restored) {
    begin(json, outcome);
    write_counts(json, outcome);
    json.close('}');
  }
  return json.close(']').close('}').text();
}

RestoreAnswer RestoreAnswer::read(const JsonValue& answer) {
  return {answer.count_at("pid"), read_outcomes(answer, "restored")};
}

GovernAnswer GovernAnswer::read(const JsonValue& answer) {
  GovernAnswer read{answer.truth_at("governed"), answer.truth_at("ended"), {}};
  const JsonValue* report = answer.find("report");
  if (report == nullptr) return read;
  read.report.budget = report->count_at("budget");
  for (const JsonValue& pool : report->items_at("pools")) {
    read.report.pools.push_back({pool.text_at("path"), pool.text_at("how")});
  }
  read.report.findings = read_texts(*report, "findings");
  return read;
}

std::string governed_json(int pid, bool governed, bool ended, std::string_view report) {
  Json json = begin(pid);
  json.field("governed", governed).field("ended", ended).key("report").raw(report);
  return json.close('}').text();
}

}  // namespace corewise::control
