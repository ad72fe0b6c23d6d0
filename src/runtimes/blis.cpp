// BLIS and AMD's AOCL-BLAS. Counts are dim_t, 64 bits wide. A fresh BLIS answers -1 and runs one
// thread. Up to 0.9 the count is the process's; since 1.0 it is the calling thread's.
#include <cstdlib>

#include "table.h"

namespace corewise {
namespace {

using Dim = std::int64_t;

enum Slot : std::size_t { kGet, kSet, kVersion, kOpenmp, kPthreads, kArchId, kArchName };

constexpr const char* kPrefixes[] = {"libblis", "libblas"};
constexpr EnvVariable kEnvironment[] = {{"BLIS_NUM_THREADS", CW_API_BLAS}};

bool prove(const SymbolLookup& symbols, Proof& proof) {
  proof.at[kGet] = symbols.address("bli_thread_get_num_threads");
  proof.at[kSet] = symbols.address("bli_thread_set_num_threads");
  proof.at[kVersion] = symbols.address("bli_info_get_version_str");
  proof.at[kOpenmp] = symbols.address("bli_info_get_enable_openmp");
  proof.at[kPthreads] = symbols.address("bli_info_get_enable_pthreads");
  proof.at[kArchId] = symbols.address("bli_arch_query_id");
  proof.at[kArchName] = symbols.address("bli_arch_string");
  return proof.at[kGet] != 0 && proof.at[kSet] != 0 && proof.at[kVersion] != 0;
}

bool enabled(const Pool& pool, Slot slot) {
  return pool.proof.at[slot] != 0 && pool.call<Dim()>(slot)() != 0;
}

void describe(Pool& pool) {
  if (const char* version = pool.call<const char*()>(kVersion)()) pool.version = version;
  pool.layer = enabled(pool, kOpenmp) ? "openmp" : enabled(pool, kPthreads) ? "pthreads" : "disabled";
  pool.scope = pool.layer == "disabled"                ? CW_SCOPE_NONE
               : std::atoi(pool.version.c_str()) >= 1 ? CW_SCOPE_THREAD
                                                       : CW_SCOPE_PROCESS;
  if (pool.proof.at[kArchId] != 0 && pool.proof.at[kArchName] != 0) {
    const int id = pool.call<int()>(kArchId)();
    if (const char* name = pool.call<const char*(int)>(kArchName)(id)) pool.architecture = name;
  }
}

int get(const Pool& pool) {
  const Dim threads = pool.call<Dim()>(kGet)();
  return threads == -1 ? 1 : static_cast<int>(threads);
}

void set(Pool& pool, int threads) { pool.call<void(Dim)>(kSet)(threads); }

int hold(Pool& pool) { return static_cast<int>(pool.call<Dim()>(kGet)()); }

Look look(Pool&, const ModuleView&) {
  return {0, "BLIS keeps its count in a private variable; its scope depends on its version"};
}

}  // namespace

const Runtime kBlis = {
    .name = "blis",
    .api = CW_API_BLAS,
    .prefixes = kPrefixes,
    .environment = kEnvironment,
    .prove = prove,
    .describe = describe,
    .get = get,
    .set = set,
    .hold = hold,
    .release = nullptr,
    .look = look,
};

}  // namespace corewise
