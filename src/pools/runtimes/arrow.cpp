// Apache Arrow's CPU thread pool, through its C++ functions by their mangled names. The setter
// returns arrow::Status. That class has a destructor, so it is returned in the caller's memory
// (Itanium C++ ABI 3.1.3.1); null inside means success. The setter fails only for counts below 1,
// which never reach it.
#include "table.h"

namespace corewise {
namespace {

enum ArrowFunction : std::size_t { kGet, kSet, kPool };

constexpr const char* kPrefixes[] = {"libarrow"};

struct ArrowStatus {
  void* state;
  ~ArrowStatus() {}  // not trivial on purpose: this is what makes the compiler return it in memory
};

bool prove(const SymbolLookup& symbols, Proof& proof) {
  proof.at[kGet] = symbols.address("_ZN5arrow24GetCpuThreadPoolCapacityEv");
  proof.at[kSet] = symbols.address("_ZN5arrow24SetCpuThreadPoolCapacityEi");
  proof.at[kPool] = symbols.address("_ZN5arrow8internal16GetCpuThreadPoolEv");
  return proof.at[kGet] != 0 && proof.at[kSet] != 0;
}

// Arrow makes the pool, as large as OMP_NUM_THREADS says, at first use: its function begins with
// the guard of that static object.
void describe(Pool& pool) {
  pool.scope = CW_SCOPE_PROCESS;
  pool.used_at = first_word_of(pool.proof.at[kPool]);
}

int get(const Pool& pool) { return pool.call<int()>(kGet)(); }

void set(Pool& pool, int threads) { pool.call<ArrowStatus(int)>(kSet)(threads); }

}  // namespace

const Runtime kArrow = {
    .name = "arrow",
    .api = CW_API_ARROW,
    .prefixes = kPrefixes,
    .environment = {},
    .prove = prove,
    .describe = describe,
    .used = use_by_word,
    .get = get,
    .set = set,
    .read_outside = private_count<CW_SCOPE_PROCESS>,
};

}  // namespace corewise
