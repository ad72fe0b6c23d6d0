// Intel MKL: libmkl_rt, the layered libraries, or a static copy inside another library (torch).
//
// Limits use the calling thread's own count (MKL_Set_Num_Threads_Local): it overrides the global
// count, and setting it to 0 restores the global count. Only the names in mixed case take numbers
// by value; the lower-case ones are Fortran's and take pointers.
//
// libmkl_rt loads the interface libraries (libmkl_intel_lp64...), which export the same functions
// over the same counts: one pool with several faces, listed by the face found first.
#include <array>
#include <atomic>
#include <cstring>
#include <optional>

#include "base/text.h"
#include "elf/elf_reader.h"
#include "os/os.h"
#include "os/patch.h"
#include "table.h"

namespace corewise {
namespace {

enum MklFunction : std::size_t { kGet, kSetLocal, kVersion, kSetLayer, kDynamic, kCount };

constexpr const char* kPrefixes[] = {"libmkl_rt", "mkl_rt", "libmkl"};
constexpr EnvVariable kEnvironment[] = {{"MKL_NUM_THREADS", CW_API_BLAS}};

// The function of the part that counts threads (libmkl_intel_thread...). It first checks whether
// MKL has read its variables, which MKL does at the first call of any function.
constexpr const char* kCounter = "mkl_serv_domain_get_max_threads";

bool prove(const SymbolLookup& symbols, Proof& proof) {
  proof.at[kGet] = symbols.address("MKL_Get_Max_Threads");
  proof.at[kSetLocal] = symbols.address("MKL_Set_Num_Threads_Local");
  proof.at[kVersion] = symbols.address("MKL_Get_Version_String");
  proof.at[kSetLayer] = symbols.address("MKL_Set_Threading_Layer");
  proof.at[kDynamic] = symbols.address("MKL_Get_Dynamic");
  proof.at[kCount] = symbols.address(kCounter);  // inside a static copy
  return proof.at[kGet] != 0 && proof.at[kSetLocal] != 0 && proof.at[kVersion] != 0;
}

std::string_view folder(std::string_view path) { return path.substr(0, path.rfind('/') + 1); }

// libmkl_rt loads the parts at its first call: we look for them again after each load.
struct Part {
  std::atomic<std::uintptr_t> owner{0};  // the base of the libmkl_rt that loads it; 0: none yet
  std::atomic<std::uint64_t> looked_at{0};
  std::atomic<std::uintptr_t> word{0};
  std::atomic<bool> constant{false};  // it answers 1: it has no threads, or oneTBB counts its own
};

void find_part(const Pool& pool, Part& part) {
  const os::Generation now = os::generation();
  if (part.looked_at.exchange(now.adds + now.subs) == now.adds + now.subs) return;
  std::uintptr_t counter = 0;
  os::visit_modules([&](const os::LoadedModule& module) {
    const std::string_view file = file_name(module.path);
    if (!file.starts_with("libmkl_") || folder(module.path) != folder(pool.loader_path)) return;
    const std::uintptr_t found = elf::LiveSymbols(module).address(kCounter);
    if (found == 0) return;
    for (const char* name : {"libmkl_sequential", "libmkl_tbb_thread"}) {
      if (file.starts_with(name)) part.constant.store(true);
    }
    counter = found;
  });
  part.word.store(first_word_of(counter));
}

// conda's MKL and that of a wheel may both be loaded. Null if there are more than we have room for.
Part* part_of(const Pool& pool) {
  constexpr std::size_t kMostParts = 8;
  static constinit std::array<Part, kMostParts> parts;
  for (Part& part : parts) {
    std::uintptr_t owner = 0;
    if (part.owner.compare_exchange_strong(owner, pool.base) || owner == pool.base) return &part;
  }
  return nullptr;
}

Use used(const Pool& pool) {
  if (pool.used_at != 0) return use_by_word(pool.used_at);
  Part* const part = part_of(pool);
  if (part == nullptr) return Use::kUnknown;
  if (part->word.load() == 0) find_part(pool, *part);
  if (part->constant.load()) return Use::kUsed;
  return part->word.load() != 0 ? use_by_word(part->word.load()) : Use::kNotYet;
}

void describe(Pool& pool) {
  pool.scope = CW_SCOPE_THREAD;
  pool.used_at = first_word_of(pool.proof.at[kCount]);
}

void ask(Pool& pool) {
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

// libmkl_rt and the parts that it loads, or several parts of one folder.
bool same(const Pool& pool, const Pool& known) {
  const auto is_part = [](const Pool& of) { return file_name(of.path).starts_with("libmkl_"); };
  return is_part(pool) && is_part(known) && folder(pool.path) == folder(known.path);
}

}  // namespace

const Runtime kMkl = {
    .name = "mkl",
    .api = CW_API_BLAS,
    .prefixes = kPrefixes,
    .environment = kEnvironment,
    .prove = prove,
    .describe = describe,
    .locks = true,
    .adopts_callers = true,  // so does the OpenMP below it
    .shares_threads = true,
    .used = used,
    .ask = ask,
    .get = get,
    .set = set,
    .hold = hold,
    .read_outside = private_count<CW_SCOPE_THREAD>,
    .same = same,
};

}  // namespace corewise
