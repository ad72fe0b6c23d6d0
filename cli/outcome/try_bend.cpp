#include "try_bend.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/random.h>
#include <sys/wait.h>

#include <algorithm>
#include <cstdlib>
#include <deque>
#include <string_view>
#include <utility>

#include "base/json.h"
#include "base/text.h"
#include "captured_run.h"
#include "govern/teams/bend_name.h"
#include "govern/teams/bends.h"
#include "output_difference.h"
#include "report_file.h"
#include "run_report.h"
#include "screen/layout.h"
#include "shell/exit_codes.h"
#include "start/run_child.h"

namespace corewise::cli {
namespace {

// A run, and what its processes reported.
struct Tried : Captured {
  std::uint32_t seed = 0;
  Sum sum;
};

enum class Verdict { kBends, kDoesNotBend, kNothingTried, kNotReproducible };

struct Finding {
  Verdict verdict = Verdict::kBends;
  std::vector<std::string> lines;  // what to say, the verdict first
  Difference where;                // of the outputs
};

struct Tries {
  Tried whole;
  std::vector<Tried> cut;
  bool reproducible = true;
  double apart = 0;  // the largest relative difference of numbers in runs that agreed

  Tally tally() const {
    Tally all;
    for (const Tried& run : cut) govern::gate::add(run.sum.tally, all);
    return all;
  }
};

struct Program {
  const Trial& trial;
  const std::vector<std::string>& words;
  const std::function<int()>& become;
};

std::string count_of(std::uint64_t regions) { return grouped(static_cast<std::int64_t>(regions)); }

std::string regions_cut(const Tally& tally) {
  return fmt::format("{} of {} region{} cut", count_of(tally.bent), count_of(tally.bending),
                     tally.bending == 1 ? "" : "s");
}

std::string shown_line(std::string_view line) { return cut_off(printable(line, false), 70, false); }

std::vector<std::string> last_lines(std::string_view text, std::size_t most) {
  std::deque<std::string_view> last;
  while (!text.empty()) {
    last.push_back(cut(text, '\n'));
    if (last.size() > most) last.pop_front();
  }
  std::vector<std::string> lines;
  for (const std::string_view line : last) lines.push_back("  " + shown_line(line));
  return lines;
}

void append(std::vector<std::string>& to, std::vector<std::string> lines) {
  std::ranges::move(lines, std::back_inserter(to));
}

// The last lines that a failed run wrote to standard error.
std::vector<std::string> errors_of(const Tried& run) {
  std::vector<std::string> lines = last_lines(run.err, 5);
  if (!lines.empty()) lines.insert(lines.begin(), "It said last:");
  return lines;
}

Result<Tried> run_once(const Program& program, const std::string& bends, std::uint32_t seed,
                       std::optional<double> time) {
  const auto file = ReportFile::make();
  if (!file) return file.error();
  ::setenv("COREWISE_REPORT_FILE", file->path().c_str(), 1);
  ::setenv("COREWISE_TRY_BEND", bends.c_str(), 1);
  ::setenv("COREWISE_TRY_GRANTS", fmt::format("random:{}", seed).c_str(), 1);
  Sum sum;
  auto captured = run_captured(program.become, time, [&] { sum = sum_of(file->read()); });
  if (!captured) return captured.error();
  if (program.trial.verbose) {
    write_err(
        fmt::format("corewise: {}:\n", bends.empty() ? "whole" : fmt::format("seed {}", seed)));
    write_err(captured->out + captured->err);
  }
  return Tried{std::move(*captured), seed, std::move(sum)};
}

// How the end of a run differs from the whole run's; "" if it does not.
std::string otherwise_ended(const Tried& whole, const Tried& run) {
  if (run.timed_out) {
    return fmt::format("had not ended after {:.0f} s (whole it takes {:.1f} s)", run.seconds,
                       whole.seconds);
  }
  if (run.status == whole.status) return {};
  return fmt::format("ended otherwise ({} in place of {})", ending(run.status),
                     ending(whole.status));
}

std::vector<std::string> lines_that_differ(const Difference& where, const char* one,
                                           const char* other) {
  std::vector<std::string> lines = {fmt::format("The first line that differs is {}:", where.line),
                                    fmt::format("  {:6} {}", one, shown_line(where.expected)),
                                    fmt::format("  {:6} {}", other, shown_line(where.found))};
  if (where.numbers) {
    lines.push_back(
        fmt::format("Only numbers differ there, by {:.1g} of their size: if that is rounding, have "
                    "the program print fewer digits.",
                    *where.numbers));
  }
  return lines;
}

// Runs the program whole, twice, and compares the two. A finding if nothing can be compared.
Result<std::optional<Finding>> run_whole(const Program& program, Tries& tries) {
  auto first = run_once(program, "", 0, std::nullopt);
  if (!first) return first.error();
  tries.whole = std::move(*first);
  if (tries.whole.interrupted != 0) return std::optional<Finding>();
  if (WIFSIGNALED(tries.whole.status)) {
    Finding finding{
        Verdict::kNothingTried,
        {fmt::format("Nothing was tried: whole, the program was {}.", ending(tries.whole.status))},
        {}};
    append(finding.lines, errors_of(tries.whole));
    return std::optional(finding);
  }
  const auto second = run_once(program, "", 0, std::nullopt);
  if (!second) return second.error();
  tries.whole.interrupted = second->interrupted;
  if (tries.whole.interrupted != 0) return std::optional<Finding>();
  tries.whole.seconds = std::max(tries.whole.seconds, second->seconds);
  const Difference where = compare_outputs(tries.whole.out, second->out);
  tries.reproducible = where.line == 0;
  if (second->status != tries.whole.status) {
    tries.reproducible = false;
    return std::optional(
        Finding{Verdict::kNotReproducible,
                {fmt::format("Nothing can be told: of two whole runs the one ended with {}, the "
                             "other with {}.",
                             ending(tries.whole.status), ending(second->status))},
                {}});
  }
  if (tries.reproducible) tries.apart = where.numbers.value_or(0);
  return tries.reproducible
             ? std::optional<Finding>()
             : std::optional(Finding{Verdict::kNotReproducible,
                                     lines_that_differ(where, "first", "second"), where});
}

// The file or variable that already makes the library bend, and the name there; no value if none.
std::optional<Trial::Source> named_already(const Trial& trial,
                                           const std::vector<std::string>& paths) {
  for (const Trial::Source& source : trial.named_by) {
    for (const std::string& name : source.names) {
      const bool same = name == trial.library || std::ranges::any_of(paths, [&](const auto& path) {
                          return govern::names_library(name, path);
                        });
      if (same) return Trial::Source{source.where, {name}};
    }
  }
  return std::nullopt;
}

std::string leave_it_whole(const Trial& trial, const std::vector<std::string>& paths) {
  const auto named = named_already(trial, paths);
  if (!named) return "Do not name it in `bend`.";
  return fmt::format("{} names it: take '{}' out of {}, so that it stays whole.",
                     printable(named->where, false), printable(named->names.front(), false),
                     named->where == "COREWISE_BEND" ? "that variable" : "bend there");
}

std::string what_was_matched(const Trial& trial, const Sum& sum) {
  return fmt::format("'{}' is the name of {}.", printable(trial.library, false),
                     in_words(sum.bending, sum.region_modules));
}

// No value if the run did the same as the whole run.
std::optional<Finding> refutation(const Trial& trial, Tries& tries) {
  const Tried& run = tries.cut.back();
  Finding finding{Verdict::kDoesNotBend, {}, {}};
  std::string what = otherwise_ended(tries.whole, run);
  std::vector<std::string> more;
  if (!what.empty()) {
    more = errors_of(run);
  } else if (tries.reproducible) {
    finding.where = compare_outputs(tries.whole.out, run.out);
    tries.apart = std::max(tries.apart, finding.where.numbers.value_or(0));
    if (finding.where.line != 0) {
      what = "printed something else";
      more = lines_that_differ(finding.where, "whole", "cut");
    }
  }
  if (what.empty()) return std::nullopt;
  finding.lines = {fmt::format("{} does not bend: run {} (seed {}) {}, with {}.",
                               printable(trial.library, false), tries.cut.size(), run.seed, what,
                               regions_cut(run.sum.tally))};
  append(finding.lines, std::move(more));
  if (!run.sum.bending.empty()) finding.lines.push_back(what_was_matched(trial, run.sum));
  finding.lines.push_back(leave_it_whole(trial, run.sum.bending));
  finding.lines.push_back(
      fmt::format("The same run again: the same command with --seed {} --tries 1.", run.seed));
  return finding;
}

Finding nothing_tried(const Trial& trial, const Tries& tries) {
  const std::string name = printable(trial.library, false);
  const Sum& sum = tries.cut.front().sum;
  const auto has_regions = [&](const std::string& path) {
    return std::ranges::find(sum.region_modules, path) != sum.region_modules.end();
  };
  std::string why;
  std::vector<std::string> more;
  if (tries.tally().bending > 0) {
    why = fmt::format("chance left all {} of them as they were; give more --tries",
                      count_of(tries.tally().bending));
  } else if (sum.bending.empty()) {
    why = "no library of that name was loaded";
  } else if (std::ranges::none_of(sum.bending, has_regions)) {
    why = fmt::format("{} calls no OpenMP runtime that is known", printable(sum.bending[0], false));
  } else {
    why = "none that ran wanted more than one thread";
    more.emplace_back("Try --openmp 8: then regions with OpenMP's default count want 8 threads.");
  }
  Finding finding{Verdict::kNothingTried,
                  {fmt::format("No region of {} was cut: nothing was tried, as {}.", name, why)},
                  {}};
  append(finding.lines, std::move(more));
  if (!sum.bending.empty()) return finding;
  finding.lines.emplace_back(sum.region_modules.empty()
                                 ? "No library with parallel regions was loaded."
                                 : "With parallel regions there were:");
  for (const std::string& path : sum.region_modules) {
    finding.lines.push_back("  " + printable(path, false));
  }
  return finding;
}

// What every verdict on equal runs adds.
std::vector<std::string> how_far(const Tries& tries) {
  const Tally tally = tries.tally();
  std::vector<std::string> lines = {fmt::format("Teams of {} threads ran on {}; seeds {} to {}.",
                                                govern::team_sizes_in_words(tally.bent_from),
                                                govern::team_sizes_in_words(tally.bent_to),
                                                tries.cut.front().seed, tries.cut.back().seed)};
  if (tally.bent_from >> 3U == 0) {
    lines.emplace_back(
        "Larger teams were not tried: --openmp 8 makes them, where the program takes "
        "OpenMP's default.");
  }
  if (tries.reproducible && tries.whole.out.empty()) {
    lines.emplace_back(
        "The program printed nothing, so that only exit codes were compared: have it "
        "print its results.");
  }
  if (WEXITSTATUS(tries.whole.status) != 0) {
    lines.push_back(
        fmt::format("It ended with {} each time, whole too.", ending(tries.whole.status)));
  }
  return lines;
}

std::vector<std::string> what_next(const Trial& trial, const std::vector<std::string>& paths) {
  const std::string first = "This holds only for what this program did with it.";
  if (const auto named = named_already(trial, paths)) {
    return {fmt::format("{} {} has it bend already.", first, printable(named->where, false))};
  }
  return {first + " To let it bend, in corewise.toml:", "  [govern]",
          "  bend = [\"" + printable(trial.library, false) + "\"]"};
}

Finding bends(const Trial& trial, const Tries& tries) {
  const std::string rounded =
      tries.apart > 0
          ? fmt::format(" but for rounding (numbers differ by {:.1g} of their size)", tries.apart)
          : "";
  Finding finding{Verdict::kBends,
                  {fmt::format("{} bends: {} of {} runs with {} gave the same output{}.",
                               printable(trial.library, false), tries.cut.size(), tries.cut.size(),
                               regions_cut(tries.tally()), rounded)},
                  {}};
  append(finding.lines, how_far(tries));
  finding.lines.push_back(what_was_matched(trial, tries.cut.front().sum));
  append(finding.lines, what_next(trial, tries.cut.front().sum.bending));
  return finding;
}

// The verdict on the runs with cut teams of a program whose whole runs differ.
Finding unsure(const Trial& trial, const Tries& tries, Finding whole) {
  whole.lines.insert(
      whole.lines.begin(),
      fmt::format("{} may bend: {} of {} runs with {} ended as whole, but the program is not "
                  "reproducible: two whole runs printed different things, so that only exit codes "
                  "were compared.",
                  printable(trial.library, false), tries.cut.size(), tries.cut.size(),
                  regions_cut(tries.tally())));
  append(whole.lines, how_far(tries));
  whole.lines.push_back(what_was_matched(trial, tries.cut.front().sum));
  whole.lines.emplace_back(
      "Have it print the same each time: no times, and random numbers from a "
      "fixed seed.");
  return whole;
}

// A cut team takes longer, and other programs may use the machine.
double time_for(const Tries& tries) {
  constexpr double kLeast = 10;
  constexpr double kTimes = 20;
  return std::max(kLeast, kTimes * tries.whole.seconds);
}

int interrupted_in(const Tries& tries) {
  return !tries.cut.empty() ? tries.cut.back().interrupted : tries.whole.interrupted;
}

Result<Finding> find(const Program& program, Tries& tries) {
  const Trial& trial = program.trial;
  auto whole = run_whole(program, tries);
  if (!whole) return whole.error();
  const bool compares = !*whole || (*whole)->where.line != 0;
  if (!compares) return **whole;
  for (int i = 0; i < *trial.tries && interrupted_in(tries) == 0; ++i) {
    auto run = run_once(program, trial.library, *trial.seed + static_cast<std::uint32_t>(i),
                        time_for(tries));
    if (!run) return run.error();
    tries.cut.push_back(std::move(*run));
    if (tries.cut.back().interrupted != 0) break;
    if (auto refuted = refutation(trial, tries)) return *refuted;
    if (tries.tally().bending == 0) break;
  }
  if (interrupted_in(tries) != 0) return Finding{};
  if (tries.tally().bent == 0) return nothing_tried(trial, tries);
  return *whole ? unsure(trial, tries, **whole) : bends(trial, tries);
}

void write_end(Json& json, const Tried& run) {
  json.key("exit_code");
  WIFSIGNALED(run.status) ? json.null() : json.value(WEXITSTATUS(run.status));
  json.key("signal");
  WIFSIGNALED(run.status) ? json.value(WTERMSIG(run.status)) : json.null();
  json.field("timed_out", run.timed_out).field("seconds", run.seconds);
}

const char* name_of(Verdict verdict) {
  switch (verdict) {
    case Verdict::kBends:
      return "bends";
    case Verdict::kDoesNotBend:
      return "does_not_bend";
    case Verdict::kNothingTried:
      return "nothing_tried";
    case Verdict::kNotReproducible:
      return "not_reproducible";
  }
  return "";
}

std::string in_json(const Program& program, const Tries& tries, const Finding& finding) {
  const Tally tally = tries.tally();
  Json json;
  json.open('{').field("schema_version", 1).field("verdict", name_of(finding.verdict));
  json.field("message", finding.lines.front()).field("library", program.trial.library);
  json.array("command", program.words);
  json.field("regions", tally.bending).field("cut", tally.bent);
  json.array("teams", govern::team_sizes(tally.bent_from));
  json.array("ran_on", govern::team_sizes(tally.bent_to));
  json.field("reproducible", tries.reproducible).field("rounding", tries.apart);
  json.key("whole").open('{');
  write_end(json, tries.whole);
  json.close('}').key("runs").open('[');
  for (const Tried& run : tries.cut) {
    json.open('{').field("seed", static_cast<std::int64_t>(run.seed));
    json.field("regions", run.sum.tally.bending).field("cut", run.sum.tally.bent);
    write_end(json, run);
    json.close('}');
  }
  json.close(']').key("libraries").open('[');
  if (!tries.cut.empty()) {
    for (const std::string& path : tries.cut.front().sum.bending) json.value(path);
  }
  json.close(']').key("difference");
  if (finding.where.line == 0) {
    json.null();
  } else {
    json.open('{').field("line", static_cast<std::uint64_t>(finding.where.line));
    json.field("expected", finding.where.expected).field("found", finding.where.found).close('}');
  }
  json.array("region_modules", tries.whole.sum.region_modules);
  return json.close('}').text() + "\n";
}

Exit exit_of(Verdict verdict) {
  switch (verdict) {
    case Verdict::kBends:
      return kOk;
    case Verdict::kDoesNotBend:
      return kDoesNotBend;
    case Verdict::kNothingTried:
      return kNothingTried;
    case Verdict::kNotReproducible:
      return kNotReproducible;
  }
  return kFailed;
}

std::uint32_t any_seed() {
  std::uint32_t seed = 1;
  static_cast<void>(!::getrandom(&seed, sizeof seed, GRND_NONBLOCK));
  return seed % 1'000'000;
}

}  // namespace

int try_bend(const Trial& asked, const std::vector<std::string>& words,
             const std::function<int()>& become, const Settings& settings) {
  Trial trial = asked;
  if (!trial.seed) trial.seed = any_seed();
  if (!trial.tries) trial.tries = kTries;
  const Program program{trial, words, become};
  note(settings,
       fmt::format("the program runs whole, twice, then up to {} time{} with teams of {} "
                   "cut at random",
                   *trial.tries, *trial.tries == 1 ? "" : "s", printable(trial.library, false)));
  Tries tries;
  const auto finding = find(program, tries);
  if (!finding) return fail(kFailed, "run: " + finding.error().what);
  if (const int signal = interrupted_in(tries)) return end_like(signal);
  if (settings.json) {
    write_out(in_json(program, tries, *finding));
  } else {
    write_out(for_reader(fmt::format("{}\n", fmt::join(finding->lines, "\n")), STDOUT_FILENO));
  }
  return exit_of(finding->verdict);
}

}  // namespace corewise::cli
