#include "run_report.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <string_view>
#include <utility>

#include "json.h"
#include "os/os.h"
#include "output.h"

namespace corewise::cli {
namespace {

// Lines come from our own agent: every key stands once at the depth where it is looked for, and
// inside strings quotes are escaped.
std::string_view after_key(std::string_view line, std::string_view key) {
  const std::string mark = fmt::format("\"{}\":", key);
  const std::size_t at = line.find(mark);
  return at == line.npos ? std::string_view() : line.substr(at + mark.size());
}

double number(std::string_view line, std::string_view key) {
  const std::string_view text = after_key(line, key);
  double value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

// Takes a JSON string off the front of `text`. What it cannot show stays as it is escaped.
std::string take_string(std::string_view& text) {
  std::string out;
  std::size_t at = 1;
  for (; at < text.size() && text[at] != '"'; ++at) {
    const bool plain = text[at] == '\\' && at + 1 < text.size() && text[at + 1] != 'u';
    out += text[plain ? ++at : at];
  }
  text.remove_prefix(std::min(at + 1, text.size()));
  return out;
}

std::string string_of(std::string_view line, std::string_view key) {
  std::string_view text = after_key(line, key);
  return text.starts_with('"') ? take_string(text) : std::string();
}

struct Counts {
  double regions = 0, calls = 0, nested = 0, granted = 0, shortened = 0, withheld = 0;
  double not_needed_s = 0, abandoned = 0, widest = 0;

  double asked() const { return regions + calls; }
};

struct Member {
  const char* name;
  double Counts::* value;
};
constexpr Member kCounts[] = {
    {"regions", &Counts::regions},     {"calls", &Counts::calls},
    {"nested", &Counts::nested},       {"granted", &Counts::granted},
    {"shortened", &Counts::shortened}, {"withheld", &Counts::withheld},
    {"abandoned", &Counts::abandoned}, {"not_needed_s", &Counts::not_needed_s}};

struct Process {
  long pid = 0;
  std::string command;
  bool ended = false;
  std::string_view line;
  Counts counts;
  bool has_pools = false;
};

struct Report {
  std::vector<Process> processes;  // in order of their start
  Counts sum;
  std::vector<std::string> findings;
};

void collect_findings(std::string_view line, std::vector<std::string>& to) {
  const auto add = [&](std::string finding) {
    if (!finding.empty() && std::ranges::find(to, finding) == to.end()) {
      to.push_back(std::move(finding));
    }
  };
  for (std::string_view rest = after_key(line, "finding"); rest.starts_with('"');
       rest = after_key(rest, "finding")) {
    add(take_string(rest));
  }
  std::string_view list = after_key(line, "findings");
  while (!list.empty() && (list.front() == '[' || list.front() == ',') && list.size() > 1 &&
         list[1] == '"') {
    list.remove_prefix(1);
    add(take_string(list));
  }
}

Process& process_of(Report& report, std::string_view line, bool starts) {
  const long pid = static_cast<long>(number(line, "pid"));
  const auto known = std::ranges::find_if(report.processes, [&](const Process& process) {
    return process.pid == pid && !process.ended;
  });
  Process& process = known != report.processes.end() ? *known : report.processes.emplace_back();
  process.pid = pid;
  process.command = string_of(line, "command");
  process.ended = !starts;
  return process;
}

Report read(std::string_view lines) {
  Report report;
  while (!lines.empty()) {
    const std::string_view line = lines.substr(0, lines.find('\n'));
    lines.remove_prefix(std::min(lines.size(), line.size() + 1));
    if (!line.starts_with("{\"event\":") || !line.ends_with('}')) continue;
    const bool starts = line.starts_with("{\"event\":\"start\"");
    Process& process = process_of(report, line, starts);
    if (starts) continue;
    process.line = line;
    process.has_pools = after_key(line, "pools").starts_with("[{");
    for (const Member& member : kCounts) {
      process.counts.*member.value = number(line, member.name);
      report.sum.*member.value += process.counts.*member.value;
    }
    process.counts.widest = number(line, "widest");
    report.sum.widest = std::max(report.sum.widest, process.counts.widest);
    collect_findings(line, report.findings);
  }
  return report;
}

// A zombie has ended, whether or not anybody takes note.
bool runs_still(const Process& process) {
  const auto stat = os::read_file(fmt::format("/proc/{}/stat", process.pid));
  const std::size_t name_end = stat ? stat->rfind(") ") : std::string::npos;
  return name_end != std::string::npos && stat->find_first_of("ZX", name_end + 2) != name_end + 2;
}

std::string row(std::string_view pid, const Counts& counts, std::string_view command) {
  const double asked = std::max(1.0, counts.asked());
  return fmt::format("{:>8} {:>9.0f} {:>9.0f} {:>7.1f} {:>7.1f} {:>9.1f} s  {}\n", pid,
                     counts.asked(), counts.widest, (counts.granted + counts.withheld) / asked,
                     counts.granted / asked, counts.not_needed_s, command);
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
    if (!process.has_pools || !process.ended) continue;
    out += row(std::to_string(process.pid), process.counts, cut(process.command, 40));
    ++shown;
  }
  if (shown == 0) return "No process had a thread pool that is known.\n";
  if (shown > 1) out += row("sum", report.sum, "");
  out += fmt::format(
      "\nOversubscription avoided: {:.1f} thread-seconds; {:.0f} of {:.0f} regions got fewer "
      "threads "
      "than wanted.\n",
      report.sum.not_needed_s, report.sum.shortened, report.sum.asked());
  return out +
         "REGIONS: parallel regions and BLAS calls. WIDEST, WANTED: threads that one would have\n"
         "run on, at most and on average; GOT: those it was granted. WITHHELD: the time of the\n"
         "threads that were not.\n";
}

std::string ending(int status) {
  if (!WIFSIGNALED(status)) return fmt::format("exit code {}", WEXITSTATUS(status));
  return fmt::format("killed by signal {} ({})", WTERMSIG(status), ::strsignal(WTERMSIG(status)));
}

std::string plural(std::size_t count, const char* what) {
  return fmt::format("{} {}{}", count, what, count == 1 ? "" : "es");
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
    silent += fmt::format("Process {} left no report, {}: {}\n", process.pid,
                          runs_still(process) ? "since it still runs"
                                              : "since it was killed or became another program",
                          cut(process.command, 60));
  }
  std::string out;
  if (without_pools > 0) {
    out = plural(without_pools, "process") + " without thread pools: not shown.\n";
  }
  return out + silent;
}

void write(Json& json, const Counts& counts) {
  for (const Member& member : kCounts) {
    if (member.value == &Counts::not_needed_s) {
      json.field(member.name, counts.not_needed_s);
    } else {
      json.field(member.name, static_cast<std::uint64_t>(counts.*member.value));
    }
  }
  json.field("widest", static_cast<std::uint64_t>(counts.widest));
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
  return ReportFile(os::real_path(path));
}

ReportFile::ReportFile(ReportFile&& other) noexcept : path_(std::exchange(other.path_, {})) {}

ReportFile::~ReportFile() {
  if (!path_.empty()) ::unlink(path_.c_str());
}

std::string ReportFile::read() const {
  constexpr int kTurns = 50;
  constexpr useconds_t kTurn = 10'000;
  for (int turn = 0;; ++turn) {
    auto text = os::read_file(path_);
    if (!text) return {};
    const Report report = corewise::cli::read(*text);
    const bool waits = std::ranges::any_of(report.processes, [](const Process& process) {
      return !process.ended && runs_still(process);
    });
    if (!waits || turn == kTurns) return *std::move(text);
    ::usleep(kTurn);
  }
}

std::string report_text(const std::string& lines, const Run& run) {
  const Report report = read(lines);
  std::string out = fmt::format("corewise: report: {:.1f} s, {}, budget {}: {}\n", run.seconds,
                                ending(run.status), run.budget,
                                cut(fmt::format("{}", fmt::join(run.words, " ")), 60));
  out += table(report) + rest(report);
  for (const std::string& finding : report.findings) {
    out += fmt::format("Finding: {}\n", printable(finding, false));
  }
  return out;
}

std::string report_json(const std::string& lines, const Run& run) {
  const Report report = read(lines);
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
    json.field("command", process.command).field("running", runs_still(process)).close('}');
  }
  json.close(']').key("findings").open('[');
  for (const std::string& finding : report.findings) json.value(finding);
  return json.close(']').close('}').text() + "\n";
}

}  // namespace corewise::cli
