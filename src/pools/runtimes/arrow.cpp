// Apache Arrow's CPU thread pool, through its C++ functions by their mangled names. The setter
// returns arrow::Status, a class with a destructor and hence returned in memory of the caller's
// (Itanium C++ ABI 3.1.3.1); null inside means success. Counts below 1 are its only failure, and
// never reach it.
#include "table.h"

namespace corewise {
namespace {

enum ArrowFunction : std::size_t { kGet, kSet, kPool };

constexpr const char* kPrefixes[] = {"libarrow"};

struct Status {
  void* state;
  ~Status() {}  // not trivial on purpose: this is what makes the compiler return it in memory
};

bool prove(const SymbolLookup& symbols, Proof& proof) {
  proof.at[kGet] = symbols.address("_ZN5arrow24GetCpuThreadPoolCapacityEv");
  proof.at[kSet] = symbols.address("_ZN5arrow24SetCpuThreadPoolCapacityEi");
  proof.at[kPool] = symbols.address("_ZN5arrow8internal16GetCpuThreadPoolEv");
  return proof.at[kGet] != 0 && proof.at[kSet] != 0;
}

// The pool is made, as large as OMP_NUM_THREADS says, when it is first wanted: its function begins
// with the guard of that static object.
void describe(Pool& pool) {
  pool.scope = CW_SCOPE_PROCESS;
  pool.used_at = first_word_of(pool.proof.at[kPool]);
}

int get(const Pool& pool) { return pool.call<int()>(kGet)(); }

void set(Pool& pool, int threads) { pool.call<Status(int)>(kSet)(threads); }

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
    .look = private_count<CW_SCOPE_PROCESS>,
};

}  // namespace corewise
