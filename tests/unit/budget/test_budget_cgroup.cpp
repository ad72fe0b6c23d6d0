// The text formats of control groups, and the way from a mount to a cgroup.
#include <doctest/doctest.h>

#include "budget/cgroup.h"

using namespace corewise;
using Where = CgroupRoute::Where;

namespace {

std::string rest_of(std::string_view root, std::string_view path) {
  const CgroupRoute found = route(root, path);
  if (found.where == Where::kHidden) return "hidden";
  return found.where == Where::kOutside ? "outside" : found.rest;
}

}  // namespace

TEST_CASE("a cgroup is found below the mount that shows it") {
  CHECK(rest_of("/", "/") == "");
  CHECK(rest_of("/", "/a/b") == "/a/b");
  CHECK(rest_of("/a", "/a") == "");
  CHECK(rest_of("/a", "/a/b") == "/b");
  CHECK(rest_of("/a", "/ab") == "outside");
  CHECK(rest_of("/a", "/") == "outside");
  CHECK(rest_of("/", "/..") == "outside");
  CHECK(rest_of("/", "/../x") == "outside");
  CHECK(rest_of("/", "/..x") == "/..x");
  CHECK(rest_of("/..", "/") == "hidden");
  CHECK(rest_of("/..", "/x") == "hidden");
  CHECK(rest_of("/..", "/../x") == "/x");
  CHECK(rest_of("/../..", "/../x") == "hidden");
  CHECK(rest_of("/../..", "/../../../x") == "outside");
  CHECK(rest_of("/../sibling", "/") == "outside");
}

TEST_CASE("memberships keep colons of names and skip what is no line") {
  const auto read =
      parse_cgroup("4:cpu,cpuacct:/a\n0::/b:c\n1:name=systemd:/\njunk\n:x:/\n5:cpu\n");
  REQUIRE(read.lines.size() == 3);
  CHECK(read.garbage);
  CHECK(read.lines[0].controllers == "cpu,cpuacct");
  CHECK_FALSE(read.lines[0].v2);
  CHECK(read.lines[1].v2);
  CHECK(read.lines[1].path == "/b:c");
  CHECK_FALSE(parse_cgroup("").garbage);
}

TEST_CASE("mounts are read with and without optional fields") {
  const auto mounts = parse_cgroup_mounts(
      "30 24 0:26 / /sys/fs/cgroup rw,nosuid shared:9 master:1 - cgroup2 cgroup2 rw\n"
      "31 24 0:27 /d\\134x /my\\040groups rw - cgroup cgroup rw,cpu,cpuacct\n"
      "32 24 0:28 / /sys rw - sysfs sysfs rw\n"
      "33 24 0:29 / /broken rw cgroup2\n");
  REQUIRE(mounts.size() == 2);
  CHECK(mounts[0].v2);
  CHECK(mounts[0].point == "/sys/fs/cgroup");
  CHECK(mounts[1].controllers == "rw,cpu,cpuacct");
  CHECK(mounts[1].root == "/d\\x");
  CHECK(mounts[1].point == "/my groups");
}

TEST_CASE("quotas") {
  CHECK(parse_cpu_max("max 100000\n")->unlimited);
  CHECK(parse_cpu_max("max")->unlimited);
  CHECK(parse_cpu_max("150000 100000\n")->cpus == 1.5);
  CHECK(parse_cfs("-1\n", "100000\n")->unlimited);
  CHECK(parse_cfs("50000", "100000")->cpus == 0.5);
  for (const char* text : {"", "max 0", "0 100000", "1", "1 0", "a b", "1 2 3", "1  2", "-5 100"}) {
    CAPTURE(text);
    CHECK_FALSE(parse_cpu_max(text));
  }
  CHECK_FALSE(parse_cfs("-2", "100000"));
  CHECK_FALSE(parse_cfs("100000", ""));
}
