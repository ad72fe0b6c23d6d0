// Where this process sits among the control groups, and what a quota file says. Parsers of text
// from the kernel; they accept any bytes. cgroup.cpp uses them to walk the folders.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace corewise {

// A line of /proc/self/cgroup.
struct CgroupMembership {
  bool v2 = false;
  std::string controllers;  // "cpu,cpuacct"; empty for version 2
  std::string path;         // as seen from the cgroup namespace
};

struct CgroupMemberships {
  std::vector<CgroupMembership> lines;
  bool garbage = false;  // some line was not a membership
};

CgroupMemberships parse_cgroup(std::string_view text);

// A mounted cgroup hierarchy, from /proc/self/mountinfo.
struct CgroupMount {
  bool v2 = false;
  std::string controllers;  // the super block's options, the controllers among them
  std::string root;         // the cgroup shown at `point`, as seen from the cgroup namespace
  std::string point;
};

std::vector<CgroupMount> parse_cgroup_mounts(std::string_view mountinfo);

// How the cgroup `path` relates to a mount whose top is the cgroup `root`.
struct CgroupRoute {
  enum class Where {
    kBelow,   // at `rest` below the mount point
    kHidden,  // somewhere below it, by names that the namespace hides
    kOutside  // not below it
  };
  Where where = Where::kOutside;
  std::string rest;  // "" or "/a/b"
};

CgroupRoute route(std::string_view root, std::string_view path);

// What a quota file says: CPUs, or no limit.
struct Quota {
  double cpus = 0;
  bool unlimited = true;
};

// Version 2's cpu.max: "max 100000", "150000 100000".
std::optional<Quota> parse_cpu_max(std::string_view text);

// Version 1's cpu.cfs_quota_us (-1: no limit) and cpu.cfs_period_us.
std::optional<Quota> parse_cfs(std::string_view quota, std::string_view period);

}  // namespace corewise
