// The quotas of every ancestor cgroup, and the nearest cpuset. See docs/budget.md.
//
// A process has one cgroup in each mounted hierarchy: one of version 2, and, on older or mixed
// systems, one per controller of version 1. A quota anywhere on the way up binds, so the walk goes
// from the process's own cgroup to the top of what is mounted. A container cannot see what lies
// above its mount.
#include "cgroup.h"

#include <cstddef>
#include <utility>

#include "base/text.h"
#include "survey.h"

namespace corewise {
namespace {

// No real hierarchy is deeper; we follow a hostile one no further.
constexpr std::size_t kMostLevels = 64;

bool lists(std::string_view controllers, std::string_view name) {
  while (!controllers.empty()) {
    if (cut(controllers, ',') == name) return true;
  }
  return false;
}

// The folder of the process's own cgroup, then of each ancestor, up to the mount point.
std::vector<std::string> folders(const std::string& point, std::string rest) {
  std::vector<std::string> all;
  while (!rest.empty() && all.size() < kMostLevels) {
    all.push_back(point + rest);
    rest.erase(rest.find_last_of('/'));
  }
  all.push_back(point);
  return all;
}

// The mounts of the hierarchy that has `controller`; all of version 2, which may have any.
std::vector<CgroupMount> mounts_of(const std::vector<CgroupMount>& all, bool v2,
                                   std::string_view controller) {
  std::vector<CgroupMount> some;
  for (const CgroupMount& mount : all) {
    if (mount.v2 == v2 && (v2 || lists(mount.controllers, controller))) some.push_back(mount);
  }
  return some;
}

// Whether the mount shows more ancestors of the cgroup. Among equal mounts the usual place is
// better, as others may belong to somebody's chroot; otherwise the first stays.
bool is_better(const CgroupMount& mount, const CgroupRoute& found, const CgroupMount& best,
               const CgroupRoute& best_route) {
  constexpr auto kHidden = CgroupRoute::Where::kHidden;
  if (found.where != best_route.where) return best_route.where == kHidden;
  if (found.where != kHidden && found.rest.size() != best_route.rest.size()) {
    return found.rest.size() > best_route.rest.size();
  }
  constexpr std::string_view kUsual = "/sys/fs/cgroup";
  return mount.point.starts_with(kUsual) && !best.point.starts_with(kUsual);
}

// The folders to look in, through the mount that shows the most ancestors.
std::vector<std::string> visible_folders(Survey& survey, const std::vector<CgroupMount>& mounts,
                                         const CgroupMembership& own) {
  const CgroupMount* best = nullptr;
  CgroupRoute best_route;
  for (const CgroupMount& mount : mounts) {
    CgroupRoute found = route(mount.root, own.path);
    if (found.where == CgroupRoute::Where::kOutside) continue;
    if (best != nullptr && !is_better(mount, found, *best, best_route)) continue;
    best = &mount;
    best_route = std::move(found);
  }
  if (best == nullptr) {
    if (!mounts.empty()) {
      survey.finding("The cgroup " + quote(own.path) + " of this process lies outside what is " +
                     "mounted at " + mounts.front().point + "; its CPU quota is unknown. Set " +
                     "COREWISE_BUDGET if it has one.");
    }
    return {};
  }
  if (best_route.where == CgroupRoute::Where::kHidden) {
    survey.finding("The cgroup namespace hides the way from " + best->point + " to the cgroup of " +
                   "this process; CPU quotas between them are unknown. Set COREWISE_BUDGET if " +
                   "there is one.");
  }
  return folders(best->point, std::move(best_route.rest));
}

void add_quota(Survey& survey, const std::string& where, const std::optional<Quota>& quota,
               std::string_view content, std::string detail) {
  if (!quota) {
    survey.misread(where, content, "a CPU quota");
  } else if (!quota->unlimited) {
    survey.constrain(Source::kQuota, where, quota->cpus, std::move(detail));
  }
}

void read_quota_v2(Survey& survey, const std::string& folder) {
  const std::string where = folder + "/cpu.max";
  const auto text = survey.watch(where);
  if (!text) return;
  std::string_view period = trim(*text);
  const std::string_view time = cut(period, ' ');
  add_quota(survey, where, parse_cpu_max(*text), *text,
            std::string(time) + " us of CPU time in every " + std::string(period) + " us");
}

void read_quota_v1(Survey& survey, const std::string& folder) {
  const std::string where = folder + "/cpu.cfs_quota_us";
  const auto time = survey.watch(where);
  if (!time) return;
  const auto period = survey.watch(folder + "/cpu.cfs_period_us");
  add_quota(survey, where, parse_cfs(*time, period.value_or("")),
            *time + (period ? *period : " with no cpu.cfs_period_us beside it"),
            std::string(trim(*time)) + " us of CPU time in every " +
                std::string(trim(period.value_or(""))) + " us");
}

// True once it finds a cpuset: those of its ancestors are supersets.
bool read_cpuset(Survey& survey, const std::string& path) {
  const auto set = survey.watch_cpulist(path);
  if (!set || set->empty()) return false;
  Budget& budget = survey.budget();
  const CpuSet left = budget.allowed & *set;
  if (left.empty()) {
    survey.finding(path + " holds " + quote(set->to_list()) + ", none of the CPUs " +
                   quote(budget.allowed.to_list()) + " that this process may use; it was ignored.");
    return true;
  }
  budget.allowed = left;
  survey.cpuset = *set & survey.online;
  survey.constrain(Source::kCpuset, path, survey.cpuset.count(), "CPUs " + survey.cpuset.to_list());
  return true;
}

// Reads /proc/self/cgroup; if it is missing, assumes a container's own folders.
std::vector<CgroupMembership> memberships(Survey& survey) {
  const std::string path = "/proc/self/cgroup";
  const auto text = survey.watch(path);
  if (text) {
    CgroupMemberships read = parse_cgroup(*text);
    if (read.garbage) survey.misread(path, *text, "a list of control groups");
    if (!read.lines.empty()) return std::move(read.lines);
  } else {
    survey.finding(path +
                   " is not there; if this process has a CPU quota, only a container's own " +
                   "is seen. Set COREWISE_BUDGET if there is another.");
  }
  return {{false, "cpu,cpuset", "/"}, {true, "", "/"}};
}

std::vector<CgroupMount> mounts(Survey& survey) {
  const std::string path = "/proc/self/mountinfo";
  const std::string text = survey.file(path).value_or("");
  std::vector<CgroupMount> found = parse_cgroup_mounts(text);
  // A table without cgroups is an answer; no table is not.
  if (text.find(" - ") != std::string::npos) return found;
  if (!text.empty()) survey.misread(path, text, "a table of mounts");
  // Where every distribution mounts them.
  return {{false, "cpu", "/", "/sys/fs/cgroup/cpu"},
          {false, "cpuset", "/", "/sys/fs/cgroup/cpuset"},
          {true, "", "/", "/sys/fs/cgroup"}};
}

}  // namespace

void survey_cgroups(Survey& survey) {
  const std::vector<CgroupMount> mounted = mounts(survey);
  bool have_cpuset = false;
  bool looked = false;
  std::string unseen;  // a cgroup that may have a quota nobody could look up
  for (const CgroupMembership& own : memberships(survey)) {
    if (own.v2 || lists(own.controllers, "cpu")) {
      const auto cpu_mounts = mounts_of(mounted, own.v2, "cpu");
      looked |= !cpu_mounts.empty();
      if (own.path != "/") unseen = own.path;
      for (const auto& folder : visible_folders(survey, cpu_mounts, own)) {
        if (!own.v2) {
          read_quota_v1(survey, folder);
          continue;
        }
        read_quota_v2(survey, folder);
        have_cpuset = have_cpuset || read_cpuset(survey, folder + "/cpuset.cpus.effective");
      }
    }
    if (!own.v2 && lists(own.controllers, "cpuset")) {
      for (const auto& folder : visible_folders(survey, mounts_of(mounted, false, "cpuset"), own)) {
        have_cpuset = have_cpuset || read_cpuset(survey, folder + "/cpuset.effective_cpus") ||
                      read_cpuset(survey, folder + "/cpuset.cpus");
      }
    }
  }
  if (!looked && !unseen.empty()) {
    survey.finding("No cgroup file system is mounted here, so the CPU quota of cgroup " +
                   quote(unseen) + " is unknown. Set COREWISE_BUDGET if it has one.");
  }
}

}  // namespace corewise
