// GNU libgomp. Wheels carry renamed copies; each copy is a pool of its own.
#include "../os/machine.h"
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
// beside them (libgomp/env.c). A user who chose is left alone.
Result<govern::SpinWord> spin_word(const Pool& pool) {
  constexpr std::uint64_t kTurns = 300000;
  constexpr std::uint64_t kBrief = 30000;
  const os::LiveMachine machine;
  if (machine.variable("GOMP_SPINCOUNT") || machine.variable("OMP_WAIT_POLICY")) {
    return Error{CW_OK, {}};
  }
  const auto at = govern::word_by_value(
      pool, kTurns, [](std::uint64_t turns) { return turns == 100 || turns == 1000; });
  if (at) return govern::SpinWord{*at, 8, kBrief};
  return Error{CW_NOT_AVAILABLE, "the idle threads of " + pool.path +
                                     " spin on: its spin count was not found; start the program "
                                     "with GOMP_SPINCOUNT=30000"};
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
