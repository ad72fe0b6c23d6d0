// hwloc's second opinion: on this machine, and on every recorded one that it can read. It parses
// the masks of /sys where corewise parses the lists, and shares no code with it.
#include <doctest/doctest.h>
#include <hwloc.h>

#include <algorithm>

#include "budget/budget.h"
#include "machine_folder.h"
#include "read_json.h"

using namespace corewise;

namespace {

// What hwloc counts within the allowed CPUs.
struct Opinion {
  bool loaded = false;
  int cpus = 0;
  int cores = 0;
  int packages = 0;
  int numa_nodes = 0;
  int threads_per_core = 0;
};

// Objects of a kind that hold an allowed CPU. (hwloc 2.9 can restrict a topology itself, but aborts
// when that leaves a node without CPUs.)
int count(hwloc_topology_t topology, hwloc_obj_type_t type, hwloc_bitmap_t ours) {
  int n = 0;
  hwloc_obj_t object = nullptr;
  while ((object = hwloc_get_next_obj_by_type(topology, type, object)) != nullptr) {
    n += hwloc_bitmap_intersects(object->cpuset, ours);
  }
  return n;
}

int most_threads(hwloc_topology_t topology, hwloc_bitmap_t ours) {
  int most = 0;
  hwloc_bitmap_t both = hwloc_bitmap_alloc();
  hwloc_obj_t core = nullptr;
  while ((core = hwloc_get_next_obj_by_type(topology, HWLOC_OBJ_CORE, core)) != nullptr) {
    hwloc_bitmap_and(both, core->cpuset, ours);
    most = std::max(most, hwloc_bitmap_weight(both));
  }
  hwloc_bitmap_free(both);
  return most;
}

Opinion ask_hwloc(const CpuSet& allowed) {
  Opinion opinion;
  hwloc_topology_t topology = nullptr;
  if (hwloc_topology_init(&topology) != 0) return opinion;
  hwloc_topology_set_flags(topology, HWLOC_TOPOLOGY_FLAG_INCLUDE_DISALLOWED);
  hwloc_bitmap_t ours = hwloc_bitmap_alloc();
  hwloc_bitmap_list_sscanf(ours, allowed.to_list().c_str());
  if (hwloc_topology_load(topology) == 0) {
    opinion.loaded = true;
    opinion.cpus = count(topology, HWLOC_OBJ_PU, ours);
    opinion.cores = count(topology, HWLOC_OBJ_CORE, ours);
    opinion.packages = count(topology, HWLOC_OBJ_PACKAGE, ours);
    opinion.numa_nodes = count(topology, HWLOC_OBJ_NUMANODE, ours);
    opinion.threads_per_core = most_threads(topology, ours);
  }
  hwloc_bitmap_free(ours);
  hwloc_topology_destroy(topology);
  return opinion;
}

void compare(const Topology& ours, const Opinion& theirs) {
  REQUIRE(theirs.loaded);
  CHECK(ours.cpus == theirs.cpus);
  CHECK(ours.cores == theirs.cores);
  CHECK(ours.packages == theirs.packages);
  CHECK(ours.numa_nodes == theirs.numa_nodes);
  CHECK(ours.threads_per_core == theirs.threads_per_core);
}

}  // namespace

TEST_CASE("hwloc sees the same topology on this machine") {
  const auto budget = compute_budget(os::LiveMachine());
  REQUIRE(budget);
  compare(budget->topology, ask_hwloc(budget->allowed));
}

TEST_CASE("hwloc sees the same topology on the recorded machines") {
  const test::MachineFolder folder;
  REQUIRE(folder.made());
  // hwloc reads /sys only, below the folder that this variable names.
  setenv("HWLOC_COMPONENTS", "linux,stop", 1);
  int compared = 0;
  for (const auto& root : folder.all()) {
    CAPTURE(root.filename().string());
    const auto expected = test::JsonReader::read(test::slurp(root / "expect.json"));
    if (!expected.at("hwloc").truth()) continue;
    const auto budget = compute_budget(os::RecordedMachine(root.string()));
    REQUIRE(budget);
    setenv("HWLOC_FSROOT", root.c_str(), 1);
    compare(budget->topology, ask_hwloc(budget->allowed));
    ++compared;
  }
  MESSAGE(compared, " machines compared");
  CHECK(compared >= 60);
}
