// BLIS and AMD's AOCL-BLAS. Counts are dim_t, 64 bits wide. A BLIS up to 0.9 answers -1 until a
// count is set, and runs one thread. Ways of parallelism set for single loops (BLIS_JC_NT,
// bli_thread_set_ways) beat the count: then their product is what runs, whatever is set here.
//
// The count is the process's up to BLIS 0.9 and the calling thread's since 1.0 (flame/blis 6dcf766,
// August 2023, which brought bli_thread_reset too) and since AOCL 4.1 (amd/blis, tl_rntm in
// frame/thread/bli_thread.c; 4.1 to 5.0 also hand it to threads started later).
#include <algorithm>
#include <cstdlib>
#include <string>

#include "table.h"

namespace corewise {
namespace {

using Dim = std::int64_t;

enum BlisFunction : std::size_t {
  kGet,
  kInit,
  kSet,
  kVersion,
  kOpenmp,
  kPthreads,
  kArchId,
  kArchName,
  kReset,
  kJcWays,
  kIcWays,
  kJrWays,
  kIrWays
};

constexpr const char* kPrefixes[] = {"libblis", "libblas"};
constexpr EnvVariable kEnvironment[] = {{"BLIS_NUM_THREADS", CW_API_BLAS}};

bool prove(const SymbolLookup& symbols, Proof& proof) {
  proof.at[kGet] = symbols.address("bli_thread_get_num_threads");
  proof.at[kSet] = symbols.address("bli_thread_set_num_threads");
  proof.at[kInit] = symbols.address("bli_init");
  proof.at[kVersion] = symbols.address("bli_info_get_version_str");
  proof.at[kOpenmp] = symbols.address("bli_info_get_enable_openmp");
  proof.at[kPthreads] = symbols.address("bli_info_get_enable_pthreads");
  proof.at[kArchId] = symbols.address("bli_arch_query_id");
  proof.at[kArchName] = symbols.address("bli_arch_string");
  proof.at[kReset] = symbols.address("bli_thread_reset");
  proof.at[kJcWays] = symbols.address("bli_thread_get_jc_nt");
  proof.at[kIcWays] = symbols.address("bli_thread_get_ic_nt");
  proof.at[kJrWays] = symbols.address("bli_thread_get_jr_nt");
  proof.at[kIrWays] = symbols.address("bli_thread_get_ir_nt");
  return proof.at[kGet] != 0 && proof.at[kSet] != 0 && proof.at[kVersion] != 0;
}

bool enabled(const Pool& pool, BlisFunction function) {
  return pool.proof.at[function] != 0 && pool.call<Dim()>(function)() != 0;
}

bool thread_local_count(const Pool& pool) {
  if (pool.proof.at[kReset] != 0) return true;
  // "1.0", or "AOCL-BLIS 4.1.0 Build 20230731"
  const bool aocl = pool.version.starts_with("AOCL");
  const std::size_t digit = pool.version.find_first_of("0123456789");
  if (digit == std::string::npos) return false;
  return std::strtod(pool.version.c_str() + digit, nullptr) >= (aocl ? 4.05 : 1.0);
}

// The product of the ways of the single loops; 1 if none are set.
int ways(const Pool& pool) {
  Dim product = 1;
  for (const BlisFunction function : {kJcWays, kIcWays, kJrWays, kIrWays}) {
    if (pool.proof.at[function] != 0) product *= std::max<Dim>(1, pool.call<Dim()>(function)());
  }
  return static_cast<int>(std::min<Dim>(product, CW_MAX_THREADS));
}

// All functions except those that tell how it was built begin with bli_init. It reads the variables
// the first time, guarded by a pthread_once_t.
void describe(Pool& pool) {
  pool.used_at = first_word_of(pool.proof.at[kInit]);
  if (const char* version = pool.call<const char*()>(kVersion)()) pool.version = version;
  pool.layer = enabled(pool, kOpenmp)     ? "openmp"
               : enabled(pool, kPthreads) ? "pthreads"
                                          : "disabled";
  pool.scope = pool.layer == "disabled"   ? CW_SCOPE_NONE
               : thread_local_count(pool) ? CW_SCOPE_THREAD
                                          : CW_SCOPE_PROCESS;
}

void ask(Pool& pool) {
  if (pool.proof.at[kArchId] != 0 && pool.proof.at[kArchName] != 0) {
    const int id = pool.call<int()>(kArchId)();
    if (const char* name = pool.call<const char*(int)>(kArchName)(id)) pool.architecture = name;
  }
}

int get(const Pool& pool) {
  if (const int product = ways(pool); product > 1) return product;
  const Dim threads = pool.call<Dim()>(kGet)();
  return threads == -1 ? 1 : static_cast<int>(threads);
}

void set(Pool& pool, int threads) { pool.call<void(Dim)>(kSet)(threads); }

int hold(Pool& pool) { return static_cast<int>(pool.call<Dim()>(kGet)()); }

OutsideCount read_outside(Pool&, const ModuleView&) {
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
    .locks = true,
    .used = use_by_word,
    .ask = ask,
    .get = get,
    .set = set,
    .hold = hold,
    .read_outside = read_outside,
};

}  // namespace corewise
