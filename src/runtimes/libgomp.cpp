// GNU libgomp. Wheels carry renamed copies; each copy is a pool of its own.
#include "../os/machine.h"
#include "../text.h"
#include "openmp_icv.h"

namespace corewise {
namespace {

constexpr const char* kPrefixes[] = {"libgomp"};

bool prove(const SymbolLookup& symbols, Proof& proof) {
  return openmp::prove(symbols, proof) && symbols.address("GOMP_parallel") != 0 &&
         !openmp::is_llvm(symbols);
}

// libgomp is always stripped, but its idle threads' turns are 300000 unless the environment says
// otherwise, and the turns they get when there are more threads than cores, 100 or 1000, stand
// beside them (libgomp/env.c). A user who chose is left alone; what `corewise run` set is not the
// user's choice.
Result<govern::SpinWord> spin_word(const Pool& pool) {
  constexpr std::uint64_t kTurns = 300000;
  constexpr std::uint64_t kBrief = 30000;
  const os::LiveMachine machine;
  const auto asked = machine.variable("GOMP_SPINCOUNT");
  if (machine.variable("OMP_WAIT_POLICY")) return Error{CW_OK, {}};
  if (asked && asked != machine.variable("COREWISE_SPINCOUNT")) return Error{CW_OK, {}};
  const auto turns = asked ? parse_integer(*asked) : std::optional<std::int64_t>(kTurns);
  if (!turns) return Error{CW_OK, {}};
  const auto at = govern::word_by_value(
      pool, static_cast<std::uint64_t>(*turns),
      [](std::uint64_t throttled) { return throttled == 100 || throttled == 1000; });
  if (at) return govern::SpinWord{*at, 8, kBrief};
  return Error{CW_NOT_AVAILABLE, "the threads of " + pool.path +
                                     " spin while they wait, whoever wants the CPUs: its spin "
                                     "count was not found; start the program with "
                                     "GOMP_SPINCOUNT=30000, or with 0 where it shares its CPUs"};
}

}  // namespace

const Runtime kLibgomp = {
    .name = "libgomp",
    .api = CW_API_OPENMP,
    .prefixes = kPrefixes,
    .environment = openmp::kEnvironment,
    .prove = prove,
    .describe = openmp::describe,
    .get = openmp::get,
    .set = openmp::set,
    .hold = nullptr,
    .release = nullptr,
    .look = openmp::look,
    .spin_word = spin_word,
};

}  // namespace corewise
