#include "report_reading.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <utility>

#include "base/json_reader.h"
#include "base/text.h"
#include "govern/teams/bends.h"
#include "shell/process_choice.h"

namespace corewise::cli {
namespace {

Tally tally_of(const JsonValue& line) {
  Tally tally;
  for (const govern::gate::TallyRow& row : govern::gate::kTally) {
    tally.*row.value =
        row.kind == govern::gate::TallyKind::kTime
            ? static_cast<std::uint64_t>(std::llround(1e9 * line.number_at(row.name)))
            : line.amount_at(row.name);
  }
  return tally;
}

// The counts of a process that counts on this page and never wrote its last line.
Tally tally_left(std::optional<std::size_t> page, const std::string& pages) {
  constexpr std::size_t kPage = govern::gate::kTallyPage;
  if (!page || *page >= pages.size() / kPage) return {};
  alignas(kPage) std::array<char, kPage> copy;
  std::memcpy(copy.data(), pages.data() + *page * kPage, kPage);
  return govern::gate::tally_in(copy.data());
}

void add_new(const std::string& text, std::vector<std::string>& to) {
  if (!text.empty() && std::ranges::find(to, text) == to.end()) to.push_back(text);
}

void collect_bending(const JsonValue& bending, Report& to) {
  const std::string path = bending.text_at("path");
  add_new(path, to.bending);
  for (const JsonValue& name : bending.items_at("names")) {
    auto named = std::ranges::find(to.named, name.text, &NamedBend::name);
    if (named == to.named.end()) named = to.named.insert(named, NamedBend{name.text, {}});
    add_new(path, named->paths);
  }
}

void collect(const JsonValue& line, Report& to) {
  for (const JsonValue& pool : line.items_at("pools"))
    add_new(pool.text_at("finding"), to.findings);
  for (const JsonValue& finding : line.items_at("findings")) add_new(finding.text, to.findings);
  for (const JsonValue& path : line.items_at("region_modules"))
    add_new(path.text, to.region_modules);
  for (const JsonValue& each : line.items_at("bending")) collect_bending(each, to);
}

// A name that one process does not match may match in another: only a name that no process matched
// is unmatched. What a killed or still running process loaded is not known.
void find_unmatched_bends(Report& report) {
  std::vector<std::string> unmatched;
  bool first = true;
  bool all = true;
  for (const ReportedProcess& process : report.processes) {
    std::optional<JsonValue> line;
    if (process.ended) {
      if (auto read = read_json(process.line)) line = *std::move(read);
    }
    all = all && line;
    if (!line) continue;
    std::vector<std::string> here;
    for (const JsonValue& name : line->items_at("unmatched_bends")) here.push_back(name.text);
    if (std::exchange(first, false)) unmatched = here;
    std::erase_if(unmatched, [&](const std::string& name) {
      return std::ranges::find(here, name) == here.end();
    });
  }
  for (const std::string& name : unmatched) {
    report.unmatched.push_back(govern::unmatched_finding(name) +
                               (all ? "" : " by the processes that reported"));
    add_new(report.unmatched.back(), report.findings);
  }
}

ReportedProcess& process_of(Report& report, const JsonValue& line, bool starts) {
  const long pid = static_cast<long>(line.number_at("pid"));
  const auto known = std::ranges::find_if(report.processes, [&](const ReportedProcess& process) {
    return process.pid == pid && !process.ended;
  });
  ReportedProcess& process =
      known != report.processes.end() ? *known : report.processes.emplace_back();
  process.pid = pid;
  process.command = line.text_at("command");
  process.ended = !starts;
  return process;
}

}  // namespace

Report read_report(const Collected& collected) {
  Report report;
  std::string_view lines = collected.lines;
  while (!lines.empty()) {
    const std::string_view text = cut(lines, '\n');
    // A process may be killed while it writes.
    const auto line = read_json(text);
    if (!line || line->text_at("event").empty()) continue;
    const bool starts = line->text_at("event") == "start";
    ReportedProcess& process = process_of(report, *line, starts);
    process.line = text;
    const double page = line->number_at("page", -1);
    process.page = page >= 0 ? std::optional(static_cast<std::size_t>(page)) : std::nullopt;
    if (starts) continue;
    process.has_pools = !line->items_at("pools").empty();
    process.tally = tally_of(*line);
    collect(*line, report);
  }
  for (ReportedProcess& process : report.processes) {
    if (!process.ended) {
      process.tally = tally_left(process.page, collected.pages);
      process.has_pools = asked(process.tally) > 0;
    }
    govern::gate::add(process.tally, report.sum);
  }
  find_unmatched_bends(report);
  return report;
}

bool runs_still(const ReportedProcess& process) {
  const char state = state_of(static_cast<int>(process.pid));
  return state != 0 && state != 'Z' && state != 'X';
}

}  // namespace corewise::cli
