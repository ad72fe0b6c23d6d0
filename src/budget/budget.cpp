// Puts the parts of the budget together. See budget.h.
#include "budget.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <limits>
#include <utility>

#include "base/text.h"
#include "survey.h"
#include "thread_binding.h"

namespace corewise {
namespace {

// Allows for the rounding of binary division.
constexpr double kEpsilon = 1e-9;

// The CPUs that are online: from /sys, else from the lines "cpu0 ..." of /proc/stat.
CpuSet read_online(Survey& survey) {
  const std::string path = "/sys/devices/system/cpu/online";
  if (const auto set = survey.watch_cpulist(path); set && !set->empty()) {
    survey.constrain(Source::kMachine, path, set->count(), "CPUs " + set->to_list() + " online");
    return *set;
  }
  CpuSet set;
  const std::string stat = survey.file("/proc/stat").value_or("");
  std::string_view rest = stat;
  while (!rest.empty()) {
    std::string_view line = cut(rest, '\n');
    if (!line.starts_with("cpu")) continue;
    const auto cpu = parse_integer(cut(line, ' ').substr(3));
    if (cpu && *cpu >= 0 && *cpu < static_cast<int>(CpuSet::kCapacity)) {
      set.add(static_cast<std::size_t>(*cpu));
    }
  }
  if (!set.empty()) {
    survey.constrain(Source::kMachine, "/proc/stat", set.count(),
                     "CPUs " + set.to_list() + " online");
  }
  return set;
}

// The mask of the main thread: /proc/self is the process, whose status is its main thread's.
std::optional<CpuSet> read_affinity(Survey& survey, std::string& where) {
  where = "/proc/self/status";
  constexpr std::string_view kList = "Cpus_allowed_list:";
  const auto text = survey.watch(where, kList.data());
  if (text) {
    const std::string_view line = line_starting(*text, kList);
    if (!line.empty()) {
      const std::string_view value = line.substr(kList.size());
      const auto set = parse_cpulist(value);
      if (set && !set->empty()) return set;
      survey.misread(where, line, "a mask of CPUs");
    }
    constexpr std::string_view kMask = "Cpus_allowed:";
    const std::string_view mask = line_starting(*text, kMask);
    if (!mask.empty()) {
      const auto set = parse_cpumask(mask.substr(kMask.size()));
      if (set && !set->empty()) return set;
      survey.misread(where, mask, "a mask of CPUs");
    }
  }
  where = "sched_getaffinity";
  const auto asked = survey.machine().affinity();
  return asked ? parse_cpulist(*asked) : std::nullopt;
}

// The process's mask, given that the main thread's is `main`: an OpenMP runtime may have bound that
// thread. The process itself knows; from outside, its other threads' masks show what it had.
CpuSet without_binding(Survey& survey, const CpuSet& main, std::string& where,
                       std::string& detail) {
  const os::Machine& machine = survey.machine();
  CpuSet own = main;
  if (const auto known = machine.process_mask(main.to_list())) {
    own = parse_cpulist(known->cpus).value_or(main);
    survey.mask_is_certain = true;
  } else if (!binding_request(machine).empty()) {
    own |= masks_of_threads(machine);
    survey.mask_is_certain = own != main;
  }
  if (own == main) return main;
  const std::string request = binding_request(machine);
  where = "the mask before OpenMP" + (request.empty() ? "" : " (" + request + ")");
  detail = "; OpenMP bound the main thread to " + main.to_list();
  return own;
}

// Fills budget.allowed from the machine and the main thread's mask.
void survey_masks(Survey& survey) {
  Budget& budget = survey.budget();
  std::string where;
  survey.online = read_online(survey);
  auto mask = read_affinity(survey, where);
  std::string detail;
  if (mask) mask = without_binding(survey, *mask, where, detail);
  if (survey.online.empty() && mask) survey.online = *mask;
  if (survey.online.empty()) {
    survey.finding("Neither /sys nor /proc tells which CPUs there are; the budget is 1. Mount " +
                   std::string("/proc to use more."));
    survey.online.add(0);
    survey.constrain(Source::kMachine, "none", 1, "no file tells the number of CPUs");
  }
  budget.allowed = survey.online;
  survey.cpuset = survey.online;
  if (!mask) {
    survey.finding("/proc/self/status does not tell the mask of the main thread; all " +
                   counted(survey.online.count(), "CPU") + " count as allowed.");
    return;
  }
  const CpuSet both = *mask & survey.online;
  if (both.empty()) {
    survey.finding(where + " allows CPUs " + quote(mask->to_list()) +
                   ", of which none is online (" + quote(survey.online.to_list()) +
                   "); it was ignored.");
    return;
  }
  budget.allowed = both;
  survey.constrain(Source::kAffinity, where, both.count(), "CPUs " + both.to_list() + detail);
}

// From outside we cannot tell who narrowed the mask: a finding says so.
void doubt_mask(Survey& survey) {
  const int mask = survey.budget().allowed.count();
  const int all = survey.cpuset.count();
  const std::string request = binding_request(survey.machine());
  if (survey.mask_is_certain || mask >= all || request.empty()) return;
  survey.finding(request + " may have bound the main thread to " + std::to_string(mask) + " of " +
                 std::to_string(all) + " CPUs, and the budget counts those. Set " +
                 request.substr(0, request.find('=')) + " only for the programs that need it.");
}

// Why `cpus` cannot be a cap on this machine; empty if it can.
std::string refuse_cap(double cpus, int online) {
  if (!std::isfinite(cpus) || cpus <= 0) {
    return "a budget of " + cpus_in_words(cpus) + " makes no sense; give a number above 0";
  }
  if (cpus > online + kEpsilon) {
    // Of a larger one, a double does not hold the digits that the user gave.
    constexpr double kExact = 1e15;
    const std::string count = cpus < kExact ? format_cpus(cpus) : "that many";
    return "a budget of " + count + " CPUs is above the machine, which has " +
           std::to_string(online) + "; give at most that";
  }
  return {};
}

void survey_user(Survey& survey) {
  const auto text = survey.variable("COREWISE_BUDGET");
  if (!text) return;
  const Result<double> cap = parse_cap(*text);
  const std::string why = cap ? refuse_cap(*cap, survey.online.count()) : cap.error().what;
  if (why.empty()) {
    survey.constrain(Source::kUser, "COREWISE_BUDGET", *cap, "the user's cap");
  } else {
    survey.finding("COREWISE_BUDGET was ignored: " + why + ".");
  }
}

// The minimum, and which constraints cause it. The machine itself binds only when no other
// constraint does; mask and cpuset also bind when their overlap is what is small.
void conclude(Budget& budget) {
  double least = std::numeric_limits<double>::infinity();
  double machine = least;
  for (const Constraint& one : budget.constraints) {
    least = std::min(least, one.cpus);
    if (one.source == Source::kMachine) machine = one.cpus;
  }
  const bool overlap = budget.allowed.count() < least - kEpsilon;
  if (overlap) least = budget.allowed.count();
  const bool narrowed = least < machine - kEpsilon;
  for (Constraint& one : budget.constraints) {
    const bool is_mask = one.source == Source::kAffinity || one.source == Source::kCpuset;
    const bool smallest = one.cpus <= least + kEpsilon || (overlap && is_mask);
    one.binding = smallest && (narrowed || one.source == Source::kMachine);
  }
  budget.cpus = least;
  budget.floor = whole_threads(least);
  budget.ceil = busy_threads(least);
}

}  // namespace

const char* source_name(Source source) {
  constexpr std::array kNames = {"machine",    "affinity", "cpuset", "quota", "slurm",
                                 "mpi",        "lsf",      "pbs",    "sge",   "condor",
                                 "kubernetes", "loky",     "joblib", "user"};
  return kNames[static_cast<std::size_t>(source)];
}

Result<double> parse_cap(std::string_view text) {
  const auto cap = parse_cpus(text);
  if (cap) return *cap;
  return Error{CW_BAD_ARGUMENT,
               quote(trim(text)) + " is not a number of CPUs above 0; write 8, 1.5 or 500m"};
}

Result<Budget> compute_budget(const os::Machine& machine, std::optional<double> cap) {
  Budget budget;
  Survey survey(machine, budget);
  survey_masks(survey);
  survey_cgroups(survey);
  doubt_mask(survey);
  survey_schedulers(survey);
  survey_user(survey);
  if (cap) {
    std::string why = refuse_cap(*cap, survey.online.count());
    if (!why.empty()) return Error{CW_BAD_ARGUMENT, std::move(why)};
    survey.constrain(Source::kUser, "argument", *cap, "the caller's cap");
  }
  survey_topology(survey);
  conclude(budget);
  return budget;
}

bool budget_changed(const Budget& budget, const os::Machine& machine) {
  return std::any_of(budget.watched.begin(), budget.watched.end(), [&](const Watched& watched) {
    os::FileText now = machine.read(watched.path);
    if (!watched.line.empty() && now.access == os::FileText::Access::kRead) {
      now.text = std::string(line_starting(now.text, watched.line));
    }
    return now != watched.seen;
  });
}

}  // namespace corewise
