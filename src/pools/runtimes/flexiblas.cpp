// FlexiBLAS: a switch in front of other BLAS libraries. It exports their control functions under
// their names too, so it is recognised before them; its backend shows as a pool of its own.
#include "pools/discover.h"
#include "table.h"

namespace corewise {
namespace {

enum FlexiblasFunction : std::size_t { kGet, kSet, kVersion, kBackend };

constexpr const char* kPrefixes[] = {"libflexiblas"};
constexpr EnvVariable kEnvironment[] = {{"FLEXIBLAS_NUM_THREADS", CW_API_BLAS}};

bool prove(const SymbolLookup& symbols, Proof& proof) {
  proof.at[kGet] = symbols.address("flexiblas_get_num_threads");
  proof.at[kSet] = symbols.address("flexiblas_set_num_threads");
  proof.at[kVersion] = symbols.address("flexiblas_get_version");
  proof.at[kBackend] = symbols.address("flexiblas_current_backend");
  return proof.at[kGet] != 0 && proof.at[kSet] != 0;
}

void describe(Pool& pool) {
  pool.scope = CW_SCOPE_PROCESS;
  if (pool.proof.at[kVersion] != 0) {
    int major = 0, minor = 0, patch = 0;
    pool.call<void(int*, int*, int*)>(kVersion)(&major, &minor, &patch);
    pool.version =
        std::to_string(major) + "." + std::to_string(minor) + "." + std::to_string(patch);
  }
  if (pool.proof.at[kBackend] != 0) {
    char name[1024] = {};
    pool.call<int(char*, std::size_t)>(kBackend)(name, sizeof name - 1);
    if (name[0] != '\0') pool.detail = std::string("passes calls to ") + name;
  }
}

// FlexiBLAS asks its backend, which may be any of the other BLAS libraries.
Use used(const Pool& pool) {
  for (std::size_t id = 0; id < pool_count(); ++id) {
    const Pool& other = pool_at(id);
    const bool backend = other.runtime->api == CW_API_BLAS && other.runtime != pool.runtime;
    if (backend && !other.may_be_asked()) return Use::kNotYet;
  }
  return Use::kUsed;
}

int get(const Pool& pool) {
  const int threads = pool.call<int()>(kGet)();
  return threads == -1 ? 1 : threads;
}

void set(Pool& pool, int threads) { pool.call<void(int)>(kSet)(threads); }

int hold(Pool& pool) { return pool.call<int()>(kGet)(); }

}  // namespace

const Runtime kFlexiblas = {
    .name = "flexiblas",
    .api = CW_API_BLAS,
    .prefixes = kPrefixes,
    .environment = kEnvironment,
    .prove = prove,
    .describe = describe,
    .shares_threads = true,
    .used = used,
    .get = get,
    .set = set,
    .hold = hold,
    .read_outside = private_count<CW_SCOPE_PROCESS>,
};

}  // namespace corewise
