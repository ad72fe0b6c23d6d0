// What every OpenMP runtime has in common: nthreads-var, the ICV that says how large a team the
// next region gets. It belongs to the calling thread (OpenMP 5.2, section 2.3); a new thread
// begins with the initial value.
#pragma once

#include "table.h"

namespace corewise::openmp {

enum OpenmpFunction : std::size_t { kGet, kSet, kThreadLimit };

inline bool prove(const SymbolLookup& symbols, Proof& proof) {
  proof.at[kGet] = symbols.address("omp_get_max_threads");
  proof.at[kSet] = symbols.address("omp_set_num_threads");
  proof.at[kThreadLimit] = symbols.address("omp_get_thread_limit");
  return proof.at[kGet] != 0 && proof.at[kSet] != 0;
}

// Compiled code calls its runtime through functions like this one; libraries that merely use OpenMP
// only import them.
inline bool is_llvm(const SymbolLookup& symbols) {
  return symbols.address("__kmpc_fork_call") != 0;
}

inline void describe(Pool& pool) {
  pool.scope = CW_SCOPE_THREAD;
  pool.counter = pool.proof.at[kSet];
}

// LLVM's runtime and Intel's set themselves up at the first call of any function, and read their
// variables only then. If there are two copies, the second to do so ends the program (OMP: Error
// #15).
inline void describe_llvm(Pool& pool) {
  describe(pool);
  pool.used_at = first_word_of(pool.proof.at[kGet]);  // __kmp_init_middle
}

inline void ask(Pool& pool) {
  if (pool.proof.at[kThreadLimit] == 0) return;
  const int limit = pool.call<int()>(kThreadLimit)();
  if (limit > 0 && limit < CW_MAX_THREADS) pool.ceiling = limit;
}

inline int get(const Pool& pool) { return pool.call<int()>(kGet)(); }

inline void set(Pool& pool, int threads) { pool.call<void(int)>(kSet)(threads); }

inline OutsideCount read_outside(Pool& pool, const ModuleView& view) {
  pool.scope = CW_SCOPE_THREAD;
  const std::string initial = view.started_with("OMP_NUM_THREADS");
  return {0, "each thread has its own count; new threads begin with " +
                 (initial.empty() ? "one per allowed CPU (OMP_NUM_THREADS was unset at start)"
                                  : "OMP_NUM_THREADS=" + initial)};
}

inline constexpr EnvVariable kEnvironment[] = {{"OMP_NUM_THREADS", CW_API_OPENMP}};

// The row of LLVM's runtime or of Intel's.
constexpr Runtime llvm_row(const char* name, std::span<const char* const> prefixes,
                           bool (*prove)(const SymbolLookup& symbols, Proof& proof)) {
  return {
      .name = name,
      .api = CW_API_OPENMP,
      .prefixes = prefixes,
      .environment = kEnvironment,
      .prove = prove,
      .describe = describe_llvm,
      .locks = true,
      .adopts_callers = true,
      .gate = GateKind::kLlvm,
      .used = use_by_word,
      .ask = ask,
      .get = get,
      .set = set,
      .read_outside = read_outside,
  };
}

}  // namespace corewise::openmp
