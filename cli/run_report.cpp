#include "run_report.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <optional>
#include <string_view>
#include <utility>

#include "govern/bends.h"
#include "govern/gate.h"
#include "json.h"
#include "json_reader.h"
#include "os/os.h"
#include "output.h"
#include "process_choice.h"
#include "text.h"

namespace corewise::cli {
namespace {

constexpr const char* kCounts = ".counts";

std::string text_of(const std::string& path) {
  auto text = os::read_file(path);
  return text ? *std::move(text) : std::string();
}

using govern::gate::Counts;

std::uint64_t asked(const Counts& counts) { return counts.regions + counts.calls; }

struct Member {
  const char* name;
  std::uint64_t Counts::* value;
};
constexpr Member kSums[] = {{"regions", &Counts::regions},
                            {"calls", &Counts::calls},
                            {"nested", &Counts::nested},
                            {"granted", &Counts::granted},
                            {"shortened", &Counts::shortened},
                            {"withheld", &Counts::withheld},
                            {"abandoned", &Counts::abandoned},
                            {"bending_regions", &Counts::bending},
                            {"bent", &Counts::bent}};

Counts counts_of(const JsonValue& line) {
  Counts counts;
  for (const Member& member : kSums) {
    counts.*member.value = static_cast<std::uint64_t>(line.number_at(member.name));
  }
  counts.widest = static_cast<std::uint64_t>(line.number_at("widest"));
  counts.not_needed_s = line.number_at("not_needed_s");
  counts.bent_from = static_cast<std::uint64_t>(line.number_at("bent_from"));
  counts.bent_to = static_cast<std::uint64_t>(line.number_at("bent_to"));
  return counts;
}

// Of a process that counts on this page, and came to write no other line.
Counts counts_left(std::optional<std::size_t> page, const std::string& pages) {
  constexpr std::size_t kPage = govern::gate::kCountsPage;
  if (!page || *page >= pages.size() / kPage) return {};
  alignas(kPage) std::array<char, kPage> copy;
  std::memcpy(copy.data(), pages.data() + *page * kPage, kPage);
  return govern::gate::counts_in(copy.data());
}

void add(const Counts& counts, Counts& to) {
  for (const Member& member : kSums) to.*member.value += counts.*member.value;
  to.widest = std::max(to.widest, counts.widest);
  to.not_needed_s += counts.not_needed_s;
  to.bent_from |= counts.bent_from;
  to.bent_to |= counts.bent_to;
}

struct Process {
  long pid = 0;
  std::string command;
  bool ended = false;
  std::string_view line;  // its last
  std::optional<std::size_t> page;
  Counts counts;
  bool has_pools = false;
};

// What a name in COREWISE_BEND matched.
struct Named {
  std::string name;
  std::vector<std::string> paths;
};

struct Report {
  std::vector<Process> processes;  // in order of their start
  Counts sum;
  std::vector<std::string> findings;
  std::vector<std::string> region_modules;
  std::vector<std::string> bending;
  std::vector<Named> named;
  std::vector<std::string> unmatched;  // findings: names that matched nothing
};

void add_new(const std::string& text, std::vector<std::string>& to) {
  if (!text.empty() && std::ranges::find(to, text) == to.end()) to.push_back(text);
}

void collect_bending(const JsonValue& bending, Report& to) {
  const std::string path = bending.text_at("path");
  add_new(path, to.bending);
  for (const JsonValue& name : bending.items_at("names")) {
    auto named = std::ranges::find(to.named, name.text, &Named::name);
    if (named == to.named.end()) named = to.named.insert(named, Named{name.text, {}});
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

// A name that one process does not know may be another's: only what none of them matched is one.
// What a process loaded that was killed, or still runs, is not known.
void find_unmatched_bends(Report& report) {
  std::vector<std::string> unmatched;
  bool first = true;
  bool all = true;
  for (const Process& process : report.processes) {
    const auto line = process.ended ? read_json(process.line) : Result<JsonValue>(Error{});
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

Process& process_of(Report& report, const JsonValue& line, bool starts) {
  const long pid = static_cast<long>(line.number_at("pid"));
  const auto known = std::ranges::find_if(report.processes, [&](const Process& process) {
    return process.pid == pid && !process.ended;
  });
  Process& process = known != report.processes.end() ? *known : report.processes.emplace_back();
  process.pid = pid;
  process.command = line.text_at("command");
  process.ended = !starts;
  return process;
}

Report read(const Collected& collected) {
  Report report;
  std::string_view lines = collected.lines;
  while (!lines.empty()) {
    const std::string_view text = cut(lines, '\n');
    // A process may have been killed as it wrote.
    const auto line = read_json(text);
    if (!line || line->text_at("event").empty()) continue;
    const bool starts = line->text_at("event") == "start";
    Process& process = process_of(report, *line, starts);
    process.line = text;
    const double page = line->number_at("page", -1);
    process.page = page >= 0 ? std::optional(static_cast<std::size_t>(page)) : std::nullopt;
    if (starts) continue;
    process.has_pools = !line->items_at("pools").empty();
    process.counts = counts_of(*line);
    collect(*line, report);
  }
  for (Process& process : report.processes) {
    if (!process.ended) {
      process.counts = counts_left(process.page, collected.pages);
      process.has_pools = asked(process.counts) > 0;
    }
    add(process.counts, report.sum);
  }
  find_unmatched_bends(report);
  return report;
}

// A zombie has ended, whether or not anybody takes note.
bool runs_still(const Process& process) {
  const char state = state_of(static_cast<int>(process.pid));
  return state != 0 && state != 'Z' && state != 'X';
}

std::string row(std::string_view pid, const Counts& counts, std::string_view command) {
  const auto each = static_cast<double>(std::max<std::uint64_t>(1, asked(counts)));
  const auto granted = static_cast<double>(counts.granted);
  const auto wanted = granted + static_cast<double>(counts.withheld);
  return fmt::format("{:>8} {:>9} {:>9} {:>7.1f} {:>7.1f} {:>9.1f} s  {}\n", pid, asked(counts),
                     counts.widest, wanted / each, granted / each, counts.not_needed_s, command);
}

std::string cut(const std::string& text, std::size_t width) {
  std::string out = printable(text, false);
  if (out.size() > width) out = out.substr(0, width - 3) + "...";
  return out;
}

std::string table(const Report& report) {
  std::string out = fmt::format("{:>8} {:>9} {:>9} {:>7} {:>7} {:>11}  {}\n", "PID", "REGIONS",
                                "WIDEST", "WANTED", "GOT", "WITHHELD", "COMMAND");
  std::size_t shown = 0;
  for (const Process& process : report.processes) {
    if (!process.has_pools) continue;
    out += row(std::to_string(process.pid), process.counts, cut(process.command, 40));
    ++shown;
  }
  if (shown == 0) return "No process had a thread pool that is known.\n";
  if (shown > 1) out += row("sum", report.sum, "");
  out += fmt::format(
      "\nOversubscription avoided: {:.1f} thread-seconds; {} of {} regions got fewer "
      "threads "
      "than wanted.\n",
      report.sum.not_needed_s, report.sum.shortened, asked(report.sum));
  return out +
         "REGIONS: parallel regions and BLAS calls. WIDEST, WANTED: threads that one would have\n"
         "run on, at most and on average; GOT: those it was granted. WITHHELD: the time of the\n"
         "threads that were not.\n";
}

std::string plural(std::size_t count, const char* what) {
  return fmt::format("{} {}{}", count, what, count == 1 ? "" : "es");
}

std::string matches(const Report& report) {
  std::string out;
  for (const Named& named : report.named) {
    out += fmt::format("'{}' bends: {}.\n", printable(named.name, false),
                       in_words(named.paths, report.region_modules));
  }
  return out;
}

// Of those that are not in the table.
std::string rest(const Report& report) {
  std::size_t without_pools = 0;
  std::string silent;
  for (const Process& process : report.processes) {
    if (process.ended) {
      without_pools += process.has_pools ? 0 : 1;
      continue;
    }
    silent +=
        fmt::format("Process {} {}, so that only its counts are known: {}\n", process.pid,
                    runs_still(process) ? "still runs" : "was killed or became another program",
                    cut(process.command, 60));
  }
  std::string out;
  if (without_pools > 0) {
    out = plural(without_pools, "process") + " without thread pools: not shown.\n";
  }
  return out + silent;
}

void write(Json& json, const Counts& counts) {
  for (const Member& member : kSums) json.field(member.name, counts.*member.value);
  json.field("widest", counts.widest).field("not_needed_s", counts.not_needed_s);
  json.field("bent_from", counts.bent_from).field("bent_to", counts.bent_to);
}

}  // namespace

Result<ReportFile> ReportFile::make() {
  const char* folder = ::getenv("TMPDIR");
  std::string path = fmt::format("{}/corewise-report-XXXXXX",
                                 folder != nullptr && *folder != '\0' ? folder : "/tmp");
  const int fd = ::mkostemp(path.data(), O_CLOEXEC);
  if (fd < 0) {
    return Error{
        CW_IO_ERROR,
        fmt::format("cannot make a file for the report, {}: {}; set TMPDIR to a folder that "
                    "can be written",
                    printable(path, false), ::strerror(errno))};
  }
  ::close(fd);
  // Programs change their folder.
  path = os::real_path(path);
  // Without it, those that are killed are not counted.
  const int counts = ::open((path + kCounts).c_str(), O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (counts >= 0) ::close(counts);
  return ReportFile(std::move(path));
}

ReportFile::ReportFile(ReportFile&& other) noexcept : path_(std::exchange(other.path_, {})) {}

ReportFile::~ReportFile() {
  if (path_.empty()) return;
  ::unlink(path_.c_str());
  ::unlink((path_ + kCounts).c_str());
}

Collected ReportFile::read() const {
  constexpr int kTurns = 50;
  constexpr useconds_t kTurn = 10'000;
  for (int turn = 0;; ++turn) {
    Collected collected{text_of(path_), text_of(path_ + kCounts)};
    const Report report = corewise::cli::read(collected);
    const bool waits = std::ranges::any_of(report.processes, [](const Process& process) {
      return !process.ended && runs_still(process);
    });
    if (!waits || turn == kTurns) return collected;
    ::usleep(kTurn);
  }
}

std::string ending(int status) {
  if (!WIFSIGNALED(status)) return fmt::format("exit code {}", WEXITSTATUS(status));
  return fmt::format("killed by signal {} ({})", WTERMSIG(status), ::strsignal(WTERMSIG(status)));
}

Sum sum_of(const Collected& collected) {
  Report report = read(collected);
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
  return fmt::format("{}", fmt::join(read(collected).unmatched, "; "));
}

std::string report_text(const Collected& collected, const Run& run) {
  const Report report = read(collected);
  std::string out = fmt::format("corewise: report: {:.1f} s, {}, budget {}: {}\n", run.seconds,
                                ending(run.status), run.budget,
                                cut(fmt::format("{}", fmt::join(run.words, " ")), 60));
  out += table(report) + rest(report) + matches(report);
  for (const std::string& finding : report.findings) {
    out += fmt::format("Finding: {}\n", printable(finding, false));
  }
  return out;
}

std::string report_json(const Collected& collected, const Run& run) {
  const Report report = read(collected);
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
  for (const Process& process : report.processes) {
    if (process.ended) json.raw(process.line);
  }
  json.close(']').key("without_report").open('[');
  for (const Process& process : report.processes) {
    if (process.ended) continue;
    json.open('{').field("pid", static_cast<std::int64_t>(process.pid));
    json.field("command", process.command).field("running", runs_still(process));
    write(json, process.counts);
    json.close('}');
  }
  json.close(']').key("findings").open('[');
  for (const std::string& finding : report.findings) json.value(finding);
  return json.close(']').close('}').text() + "\n";
}

}  // namespace corewise::cli
