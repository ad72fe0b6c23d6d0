#include "request.h"

#include <algorithm>
#include <array>
#include <optional>

#include "base/json.h"
#include "base/json_reader.h"
#include "base/text.h"

namespace corewise::control {
namespace {

using Command = Request::Command;

struct Named {
  std::string_view name;
  Command command;
  std::array<std::string_view, 3> keys;  // besides "request"
};
constexpr Named kRequests[] = {
    {"info", Command::kInfo, {}},
    {"limit", Command::kLimit, {"limits", "pools", "dry_run"}},
    {"restore", Command::kRestore, {}},
    {"govern", Command::kGovern, {"budget"}},
    {"ungovern", Command::kUngovern, {}},
    {"report", Command::kReport, {}},
    {"sample", Command::kSample, {"each"}},
};

Error refuse(std::string what) { return {CW_BAD_ARGUMENT, std::move(what)}; }

std::string known_requests() {
  std::string names;
  for (const Named& each : kRequests) names += (names.empty() ? "" : ", ") + std::string(each.name);
  return names;
}

// An unknown key may be a limit that its sender believes in.
std::optional<Error> unknown_key(const JsonValue& object, const Named& request) {
  for (const auto& [key, value] : object.fields) {
    if (key == "request" || std::ranges::find(request.keys, key) != request.keys.end()) continue;
    return refuse("the request '" + std::string(request.name) + "' has no key " + quote(key));
  }
  return std::nullopt;
}

std::optional<Error> read_count(const std::string& name, const JsonValue& value, int& to) {
  const auto count = value.whole();
  if (!count || *count < 1 || *count > CW_MAX_THREADS) {
    return Error{CW_BAD_COUNT, quote(name) + " takes a whole number of threads from 1 to " +
                                   std::to_string(CW_MAX_THREADS)};
  }
  to = *count;
  return std::nullopt;
}

std::optional<Error> read_rules(const JsonValue& object, const char* key, cw_match match,
                                std::vector<Rule>& to) {
  const JsonValue* counts = object.find(key);
  if (counts == nullptr) return std::nullopt;
  if (counts->kind != JsonValue::Kind::kObject) {
    return refuse(quote(key) + " takes an object of names and counts");
  }
  for (const auto& [name, value] : counts->fields) {
    if (name.empty()) return refuse("a pool needs a name");
    Rule rule{match, name, 0, 0};
    if (auto error = read_count(name, value, rule.threads)) return error;
    to.push_back(std::move(rule));
  }
  return std::nullopt;
}

void write_rules(Json& json, const char* key, cw_match match, const std::vector<Rule>& rules) {
  json.key(key).open('{');
  for (const Rule& rule : rules) {
    if (rule.match == match) json.field(rule.name, rule.threads);
  }
  json.close('}');
}

std::optional<Error> read_truth(const JsonValue& object, const char* key, bool& to) {
  const JsonValue* value = object.find(key);
  if (value == nullptr) return std::nullopt;
  if (value->kind != JsonValue::Kind::kTruth) return refuse(quote(key) + " takes true or false");
  to = value->truth;
  return std::nullopt;
}

std::optional<Error> read_options(const JsonValue& object, Request& to) {
  if (auto error = read_rules(object, "limits", CW_MATCH_API, to.rules)) return error;
  if (auto error = read_rules(object, "pools", CW_MATCH_NAME, to.rules)) return error;
  if (auto error = read_truth(object, "dry_run", to.dry_run)) return error;
  if (auto error = read_truth(object, "each", to.each)) return error;
  const JsonValue* budget = object.find("budget");
  if (budget != nullptr && budget->kind != JsonValue::Kind::kNull) {
    if (auto error = read_count("budget", *budget, to.budget)) return error;
  }
  if (to.command == Command::kLimit && to.rules.empty()) {
    return refuse("a limit needs at least one count, in \"limits\" or \"pools\"");
  }
  return std::nullopt;
}

}  // namespace

std::string to_json(const Request& request) {
  Json json;
  json.open('{').field("request",
                       std::ranges::find(kRequests, request.command, &Named::command)->name);
  if (request.command == Command::kLimit) {
    write_rules(json, "limits", CW_MATCH_API, request.rules);
    write_rules(json, "pools", CW_MATCH_NAME, request.rules);
    json.field("dry_run", request.dry_run);
  }
  if (request.each) json.field("each", true);
  if (request.budget > 0) json.field("budget", request.budget);
  return json.close('}').text();
}

Result<Request> read_request(std::string_view line) {
  if (line.size() > kLongestRequest) {
    return refuse("a request has at most " + std::to_string(kLongestRequest) + " bytes");
  }
  const auto object = read_json(line);
  if (!object) return object.error();
  const JsonValue* name = object->find("request");
  if (name == nullptr || name->kind != JsonValue::Kind::kText) {
    return refuse("a request is an object with a \"request\", one of " + known_requests());
  }
  const auto* known = std::ranges::find(kRequests, name->text, &Named::name);
  if (known == std::end(kRequests)) {
    return refuse("there is no request " + quote(name->text) + ", only " + known_requests());
  }
  if (auto error = unknown_key(*object, *known)) return *error;
  Request request;
  request.command = known->command;
  if (auto error = read_options(*object, request)) return *error;
  return request;
}

}  // namespace corewise::control
