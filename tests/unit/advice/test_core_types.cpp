#include <doctest/doctest.h>

#include "advice/core_types.h"
#include "map_machine.h"

using namespace corewise;

namespace {

std::string best(const std::string& cpuinfo) {
  test::MapMachine machine;
  machine.files["/proc/cpuinfo"] = cpuinfo;
  return best_core_type(machine);
}

}  // namespace

TEST_CASE("kernel sets by the instructions they need, in letters of either case") {
  CHECK(core_type_level("SkylakeX") == 5);
  CHECK(core_type_level("SKYLAKEX") == core_type_level("Cooperlake"));
  CHECK(core_type_level("haswell") == core_type_level("ZEN"));
  CHECK(core_type_level("Haswell") > core_type_level("Sandybridge"));
  CHECK(core_type_level("Sandybridge") > core_type_level("Nehalem"));
  CHECK(core_type_level("Nehalem") > core_type_level("Prescott"));
  CHECK(core_type_level("") == 0);
  CHECK(core_type_level("Hasw") == 0);
}

TEST_CASE("the best kernels that a CPU can run") {
  const std::string avx512 = " avx2 fma avx512f avx512dq avx512cd avx512bw avx512vl";
  CHECK(best("vendor_id\t: GenuineIntel\nflags\t\t: avx" + avx512 + "\n") == "SkylakeX");
  CHECK(best("vendor_id\t: AuthenticAMD\nflags\t\t: avx avx2 fma sse4_2\n") == "Zen");
  CHECK(best("vendor_id\t: GenuineIntel\nflags\t\t: avx avx2 fma avx512f\n") == "Haswell");
  CHECK(best("flags\t\t: sse4_2 avx\n") == "Sandybridge");
  CHECK(best("vendor_id\t: AuthenticAMD\nflags\t\t: sse4_2 avx fma4\n") == "Bulldozer");
  CHECK(best("flags\t\t: sse4_2 avx2x\n") == "Nehalem");
  CHECK(best("flags\t\t: sse2\n") == "Prescott");
}

TEST_CASE("no flags, no opinion") {
  CHECK(best("").empty());
  CHECK(best("Features\t: fp asimd sve\n").empty());
  CHECK(best("flags").empty());
}
