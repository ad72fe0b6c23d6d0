#include "run_report.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <string.h>
#include <sys/wait.h>

#include <algorithm>
#include <utility>

#include "base/json.h"
#include "base/text.h"
#include "screen/layout.h"
#include "screen/row_table.h"
#include "shell/output.h"

namespace corewise::cli {
namespace {

std::vector<std::string> row(std::string pid, const Tally& tally, std::string command) {
  const auto each = static_cast<double>(std::max<std::uint64_t>(1, asked(tally)));
  const auto granted = static_cast<double>(tally.granted);
  const auto wanted = granted + static_cast<double>(tally.withheld);
  return {std::move(pid),
          std::to_string(asked(tally)),
          std::to_string(tally.widest),
          fmt::format("{:.1f}", wanted / each),
          fmt::format("{:.1f}", granted / each),
          fmt::format("{:.1f} s", static_cast<double>(tally.not_needed_ns) / 1e9),
          std::move(command)};
}

std::string shown(const std::string& command, int width, bool unicode) {
  return cut_off(printable(command, unicode), width, unicode);
}

// What governing changed, in words that stay true on a busy machine, where other programs lengthen
// the time of the threads that were not granted.
std::string headline(const Tally& sum) {
  const std::uint64_t all = asked(sum);
  if (all == 0) return "No region or BLAS call asked for more than one thread.\n";
  if (sum.shortened == 0) {
    return all == 1
               ? "The one region or BLAS call got the threads asked for.\n"
               : fmt::format("All {} regions and BLAS calls got the threads asked for.\n", all);
  }
  const auto each = static_cast<double>(all);
  const auto granted = static_cast<double>(sum.granted);
  return fmt::format(
      "{} of {} regions and BLAS calls got fewer threads than wanted: on average {:.1f} instead "
      "of {:.1f}.\n",
      sum.shortened, all, granted / each, (granted + static_cast<double>(sum.withheld)) / each);
}

// The columns that a narrow screen leaves out have no explanation there.
std::string legend(const std::string& heads) {
  const auto shows = [&](const char* head) { return heads.find(head) != std::string::npos; };
  std::string text = "REGIONS: parallel regions and BLAS calls.";
  if (shows("WIDEST")) text += " WIDEST: most threads asked for at once.";
  text += " WANTED, GOT: threads asked for and given, on average.";
  if (shows("NOT GIVEN")) {
    text += " NOT GIVEN: threads not given, times how long the calls ran.";
  }
  return text + "\n";
}

std::string table(const Report& report, const Style& style) {
  std::vector<std::vector<std::string>> rows;
  for (const ReportedProcess& process : report.processes) {
    if (!process.has_pools) continue;
    rows.push_back(
        row(std::to_string(process.pid), process.tally, printable(process.command, false)));
  }
  if (rows.empty()) return for_reader("corewise found no thread pool in any process.\n");
  if (rows.size() > 1) rows.push_back(row("sum", report.sum, ""));
  constexpr int kLeastCommand = 8;
  auto lines = row_table({{"PID", 5},
                          {"REGIONS", 7},
                          {"WIDEST", 6, 2},
                          {"WANTED", 6},
                          {"GOT", 4},
                          {"NOT GIVEN", 9, 1},
                          {"COMMAND", 7}},
                         rows, kLeastCommand, style);
  const std::string explained = legend(lines.front());
  lines.front() = painted(lines.front(), Paint::kBold, style);
  return for_reader(headline(report.sum)) + fmt::format("{}\n\n", fmt::join(lines, "\n")) +
         folded_lines(explained, 0, style.width);
}

std::string matches(const Report& report) {
  std::string out;
  for (const NamedBend& named : report.named) {
    out += fmt::format("'{}' bends: {}.\n", printable(named.name, false),
                       in_words(named.paths, report.region_modules));
  }
  return out;
}

// Sentences about the processes that the table leaves out.
std::string rest(const Report& report, bool unicode) {
  std::size_t without_pools = 0;
  std::string silent;
  for (const ReportedProcess& process : report.processes) {
    if (process.ended) {
      without_pools += process.has_pools ? 0 : 1;
      continue;
    }
    silent +=
        fmt::format("Process {} {}, so corewise knows only its counts: {}\n", process.pid,
                    runs_still(process) ? "still runs" : "was killed or became another program",
                    shown(process.command, 60, unicode));
  }
  std::string out;
  if (without_pools > 0) {
    out = counted(without_pools, "process") + " without thread pools: not shown.\n";
  }
  return out + silent;
}

// One kind of count after another.
void write(Json& json, const Tally& tally) {
  using govern::gate::TallyKind;
  for (const auto kind :
       {TallyKind::kNumber, TallyKind::kMost, TallyKind::kTime, TallyKind::kSizes}) {
    for (const govern::gate::TallyRow& row : govern::gate::kTally) {
      if (row.kind == kind) govern::gate::write(json, row, tally);
    }
  }
}

}  // namespace

std::string ending(int status) {
  if (!WIFSIGNALED(status)) return fmt::format("exit code {}", WEXITSTATUS(status));
  return fmt::format("killed by signal {} ({})", WTERMSIG(status), ::strsignal(WTERMSIG(status)));
}

Sum sum_of(const Collected& collected) {
  Report report = read_report(collected);
  return {report.sum, std::move(report.region_modules), std::move(report.bending)};
}

std::string in_words(const std::vector<std::string>& paths,
                     const std::vector<std::string>& region_modules) {
  std::vector<std::string> shown;
  std::size_t without = 0;
  for (const std::string& path : paths) {
    const bool has_regions = std::ranges::find(region_modules, path) != region_modules.end();
    has_regions ? shown.push_back(printable(path, false)) : void(++without);
  }
  if (shown.empty()) {
    for (const std::string& path : paths) shown.push_back(printable(path, false));
    without = 0;
  }
  const std::string more =
      without > 0 ? fmt::format(" and {} without parallel regions", without) : "";
  return fmt::format("{}{}", fmt::join(shown, ", "), more);
}

std::string unmatched_line(const Collected& collected) {
  return fmt::format("{}", fmt::join(read_report(collected).unmatched, "; "));
}

std::string report_text(const Collected& collected, const Run& run, const Style& style) {
  const Report report = read_report(collected);
  // The command takes what is left of the first line.
  constexpr int kLeastCommand = 20;
  const std::string head = fmt::format("corewise: report: {:.1f} s, {}, budget {}: ", run.seconds,
                                       ending(run.status), run.budget);
  const int room = std::max(kLeastCommand, style.width - width_of(head));
  const std::string command =
      shown(fmt::format("{}", fmt::join(run.words, " ")), room, style.unicode);
  std::string below = rest(report, style.unicode) + matches(report);
  for (const std::string& finding : report.findings) {
    below += fmt::format("Finding: {}\n", printable(finding, false));
  }
  return for_reader(head + command + "\n") + table(report, style) + for_reader(below);
}

std::string report_json(const Collected& collected, const Run& run) {
  const Report report = read_report(collected);
  Json json;
  json.open('{').field("schema_version", 1).key("command").open('[');
  for (const std::string& word : run.words) json.value(word);
  json.close(']').field("seconds", run.seconds).field("budget", run.budget);
  json.key("exit_code");
  WIFSIGNALED(run.status) ? json.null() : json.value(WEXITSTATUS(run.status));
  json.key("signal");
  WIFSIGNALED(run.status) ? json.value(WTERMSIG(run.status)) : json.null();
  json.key("sum").open('{');
  write(json, report.sum);
  json.close('}').key("processes").open('[');
  for (const ReportedProcess& process : report.processes) {
    if (process.ended) json.raw(process.line);
  }
  json.close(']').key("without_report").open('[');
  for (const ReportedProcess& process : report.processes) {
    if (process.ended) continue;
    json.open('{').field("pid", static_cast<std::int64_t>(process.pid));
    json.field("command", process.command).field("running", runs_still(process));
    write(json, process.tally);
    json.close('}');
  }
  json.close(']').key("findings").open('[');
  for (const std::string& finding : report.findings) json.value(finding);
  json.close(']').key("notes").open('[');
  for (const std::string& note : run.notes) json.value(note);
  return json.close(']').close('}').text() + "\n";
}

}  // namespace corewise::cli
