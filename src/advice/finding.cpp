#include "finding.h"

#include <algorithm>
#include <array>
#include <iterator>
#include <utility>

#include "base/json_reader.h"
#include "base/text.h"

namespace corewise {
namespace {

constexpr std::array<const char*, 3> kSeverities = {"note", "warning", "danger"};

void write(Json& json, const Cures& cures) {
  const auto in = [&](const char* place, const std::string& text) {
    if (!text.empty()) json.field(place, text);
  };
  json.open('{');
  in("shell", cures.shell);
  in("notebook", cures.notebook);
  in("python", cures.python);
  json.close('}');
}

}  // namespace

std::vector<Finding> by_severity(const std::vector<Finding>& findings) {
  std::vector<Finding> sorted;
  for (const Severity severity : {Severity::kDanger, Severity::kWarning, Severity::kNote}) {
    std::copy_if(findings.begin(), findings.end(), std::back_inserter(sorted),
                 [&](const Finding& finding) { return finding.severity == severity; });
  }
  return sorted;
}

void govern_first(Finding& finding, const std::string& does, const Cures& others) {
  const auto or_else = [](std::string text, const std::string& other) {
    return other.empty() ? text : std::move(text) + "; or " + other;
  };
  finding.cures = {or_else("start it as corewise run -- ..., " + does, others.shell),
                   or_else("%govern on, " + does, others.notebook),
                   or_else("corewise.govern(), " + does, others.python)};
  finding.remedy =
      or_else("corewise run -- ..., in a notebook %govern on, in Python corewise.govern(), " + does,
              others.python);
}

std::string copy_name(std::string_view path, const char* noun) {
  const std::string_view name = file_name(path);
  const std::string_view package = package_of(path);
  if (name.find("openblas") == name.npos || package.empty()) return std::string(name);
  return std::string(package) + "'s " + noun;
}

const char* severity_name(Severity severity) {
  return kSeverities[static_cast<std::size_t>(severity)];
}

Severity severity_named(std::string_view name) {
  const auto found = std::ranges::find(kSeverities, name);
  return found == kSeverities.end() ? Severity::kNote
                                    : static_cast<Severity>(found - kSeverities.begin());
}

void write_findings(Json& json, const std::vector<Finding>& findings) {
  json.open('[');
  for (const Finding& finding : findings) {
    json.open('{')
        .field("id", finding.id)
        .field("severity", severity_name(finding.severity))
        .field("what", finding.what)
        .field("why", finding.why)
        .field("remedy", finding.remedy)
        .key("cures");
    write(json, finding.cures);
    json.array("pools", finding.pools).close('}');
  }
  json.close(']');
}

std::string findings_json(const std::vector<Finding>& findings) {
  Json json;
  json.open('{').field("schema_version", 1).key("findings");
  write_findings(json, findings);
  json.close('}');
  return json.text();
}

Result<std::vector<Finding>> findings_from_json(std::string_view text) {
  const auto document = read_json(text);
  if (!document) return document.error();
  std::vector<Finding> findings;
  for (const JsonValue& told : document->items_at("findings")) {
    Finding finding{told.text_at("id"), severity_named(told.text_at("severity")),
                    told.text_at("what"), told.text_at("why"), told.text_at("remedy")};
    if (const JsonValue* const cures = told.find("cures")) {
      finding.cures = {cures->text_at("shell"), cures->text_at("notebook"),
                       cures->text_at("python")};
    }
    for (const JsonValue& path : told.items_at("pools")) finding.pools.push_back(path.text);
    findings.push_back(std::move(finding));
  }
  return findings;
}

}  // namespace corewise
