// Numba's threading layers. Their counts live in private variables that only numba's own Python
// functions reach, so we show what a layer's symbols tell and cannot set it. The omp and tbb layers
// run on an OpenMP or oneTBB pool, which is limited as such.
#include "table.h"

namespace corewise {
namespace {

enum NumbaFunction : std::size_t { kWorkqueue, kOmp, kTbbLayer };

constexpr const char* kPrefixes[] = {"workqueue", "omppool", "tbbpool"};
constexpr EnvVariable kEnvironment[] = {{"NUMBA_NUM_THREADS", CW_API_NUMBA}};

bool prove(const SymbolLookup& symbols, Proof& proof) {
  if (symbols.address("do_scheduling_signed") == 0 ||
      symbols.address("get_parallel_chunksize") == 0) {
    return false;
  }
  proof.at[kWorkqueue] = symbols.address("PyInit_workqueue");
  proof.at[kOmp] = symbols.address("PyInit_omppool");
  proof.at[kTbbLayer] = symbols.address("PyInit_tbbpool");
  return proof.at[kWorkqueue] != 0 || proof.at[kOmp] != 0 || proof.at[kTbbLayer] != 0;
}

void describe(Pool& pool) {
  pool.scope = CW_SCOPE_NONE;
  const bool own = pool.proof.at[kWorkqueue] != 0;
  pool.layer = own ? "workqueue" : pool.proof.at[kOmp] != 0 ? "omp" : "tbb";
  pool.detail = own ? "set by numba.set_num_threads, at most NUMBA_NUM_THREADS"
                    : "runs on the " + pool.layer + " pool; narrowed by numba.set_num_threads";
}

}  // namespace

const Runtime kNumba = {
    .name = "numba",
    .api = CW_API_NUMBA,
    .prefixes = kPrefixes,
    .environment = kEnvironment,
    .prove = prove,
    .describe = describe,
    // numba/np/ufunc/omppool.cpp: over GNU OpenMP, for a parallel function in a forked child of a
    // process that had run one.
    .at_death = {.raises_sigterm = "omp"},
    .read_outside = private_count<CW_SCOPE_NONE>,
};

}  // namespace corewise
