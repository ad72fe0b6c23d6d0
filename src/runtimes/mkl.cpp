// Intel MKL: libmkl_rt, the layered libraries, or a static copy inside another library (torch).
//
// The calling thread's own count (MKL_Set_Num_Threads_Local) is what limits use: it overrides the
// global count and setting it back to 0 gives the global count its say again. Only the names in
// mixed case take numbers by value; the lower-case ones are Fortran's and take pointers.
//
// libmkl_rt loads the interface libraries (libmkl_intel_lp64...), which export the same functions
// over the same counts: one pool with several faces, listed by the face found first.
#include <cstring>

#include "table.h"

namespace corewise {
namespace {

enum Slot : std::size_t { kGet, kSetLocal, kVersion, kSetLayer, kDynamic };

constexpr const char* kPrefixes[] = {"libmkl_rt", "mkl_rt", "libmkl"};
constexpr EnvVariable kEnvironment[] = {{"MKL_NUM_THREADS", CW_API_BLAS}};

bool prove(const SymbolLookup& symbols, Proof& proof) {
  proof.at[kGet] = symbols.address("MKL_Get_Max_Threads");
  proof.at[kSetLocal] = symbols.address("MKL_Set_Num_Threads_Local");
  proof.at[kVersion] = symbols.address("MKL_Get_Version_String");
  proof.at[kSetLayer] = symbols.address("MKL_Set_Threading_Layer");
  proof.at[kDynamic] = symbols.address("MKL_Get_Dynamic");
  return proof.at[kGet] != 0 && proof.at[kSetLocal] != 0 && proof.at[kVersion] != 0;
}

void describe(Pool& pool) {
  pool.scope = CW_SCOPE_THREAD;
  char text[256] = {};
  pool.call<void(char*, int)>(kVersion)(text, sizeof text - 1);
  // "Intel(R) oneAPI Math Kernel Library Version 2024.2-Product Build 20240605 for ..."
  if (const char* version = std::strstr(text, "Version ")) {
    version += std::strlen("Version ");
    pool.version.assign(version, std::strcspn(version, " "));
  }
  pool.layer = "unknown";
  if (pool.proof.at[kSetLayer] != 0) {
    // An invalid layer changes nothing and returns the one in force.
    constexpr const char* kLayers[] = {"intel", "sequential", "pgi", "gnu", "tbb"};
    const int layer = pool.call<int(int)>(kSetLayer)(-1);
    pool.layer = layer >= 0 && layer < 5 ? kLayers[layer] : "not specified";
  }
  // Also makes libmkl_rt load its parts now rather than under a lock of ours.
  pool.call<int()>(kGet)();
  if (pool.proof.at[kDynamic] != 0 && pool.call<int()>(kDynamic)() != 0) {
    pool.may_use_fewer = true;
    pool.detail = "MKL_DYNAMIC is on: MKL may use fewer than set, never more than the cores";
  }
}

int get(const Pool& pool) { return pool.call<int()>(kGet)(); }

void set(Pool& pool, int threads) { pool.call<int(int)>(kSetLocal)(threads); }

int hold(Pool& pool) {
  const int local = pool.call<int(int)>(kSetLocal)(0);
  if (local != 0) pool.call<int(int)>(kSetLocal)(local);
  return local;
}

// Sets through the one and looks through the other: a set returns what was set before. The calling
// thread's own count is all that moves, and only for that moment.
bool same(const Pool& pool, const Pool& known) {
  const auto set_local = [](const Pool& face, int threads) {
    return face.call<int(int)>(kSetLocal)(threads);
  };
  const int before = set_local(pool, 1);
  const int known_before = set_local(known, 2);
  const bool moved = set_local(pool, before) == 2;
  if (!moved) set_local(known, known_before);
  return moved;
}

}  // namespace

const Runtime kMkl = {
    .name = "mkl",
    .api = CW_API_BLAS,
    .prefixes = kPrefixes,
    .environment = kEnvironment,
    .prove = prove,
    .describe = describe,
    .get = get,
    .set = set,
    .hold = hold,
    .release = nullptr,
    .look = private_count<CW_SCOPE_THREAD>,
    .same = same,
};

}  // namespace corewise
