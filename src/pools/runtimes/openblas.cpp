// OpenBLAS in all its builds: plain, with the prefix and suffixes of the SciPy wheels, with 64-bit
// integers; over pthreads, over OpenMP, or serial.
//
// Facts (OpenBLAS driver/others/memory.c and blas_server.c): the pthreads build keeps one count for
// the process. It clamps a set above MAX_THREADS, and a set of 0 or below restores the largest
// count ever used, so both are refused before they get here. The OpenMP build takes the calling
// thread's OpenMP count at every call, so we read and set that. Concurrent callers each take one of
// max(50, 2 x MAX_THREADS) buffers.
#include <algorithm>
#include <cstring>

#include "base/text.h"
#include "os/machine.h"
#include "pools/discover.h"
#include "pools/find_spin_word.h"
#include "table.h"

namespace corewise {
namespace {

enum OpenblasFunction : std::size_t { kGet, kSet, kConfig, kCorename, kParallel, kOmpGet, kOmpSet };

constexpr const char* kPrefixes[] = {"libscipy_openblas", "libopenblas", "openblas"};
constexpr EnvVariable kEnvironment[] = {{"OPENBLAS_NUM_THREADS", CW_API_BLAS}};

bool prove(const SymbolLookup& symbols, Proof& proof) {
  for (const char* prefix : {"", "scipy_"}) {
    for (const char* suffix : {"", "64_", "_64"}) {
      const auto find = [&](const char* name) {
        return symbols.address(std::string(prefix) + name + suffix);
      };
      proof.at[kGet] = find("openblas_get_num_threads");
      proof.at[kSet] = find("openblas_set_num_threads");
      if (proof.at[kGet] == 0 || proof.at[kSet] == 0) continue;
      proof.at[kConfig] = find("openblas_get_config");
      proof.at[kCorename] = find("openblas_get_corename");
      proof.at[kParallel] = find("openblas_get_parallel");
      proof.at[kOmpGet] = symbols.callee("omp_get_max_threads");
      proof.at[kOmpSet] = symbols.callee("omp_set_num_threads");
      proof.affix_prefix = prefix;
      proof.affix_suffix = suffix;
      return true;
    }
  }
  return false;
}

const char* ask(const Pool& pool, OpenblasFunction function) {
  if (pool.proof.at[function] == 0) return "";
  const char* answer = pool.call<const char*()>(function)();
  return answer != nullptr ? answer : "";
}

// "OpenBLAS 0.3.31 ... MAX_THREADS=64"; versions before 0.3.4 do not begin with their name.
std::string version_in(std::string_view config) {
  constexpr std::string_view kName = "OpenBLAS ";
  if (!config.starts_with(kName)) return {};
  config.remove_prefix(kName.size());
  return std::string(config.substr(0, config.find(' ')));
}

void describe(Pool& pool) {
  const char* config = ask(pool, kConfig);
  pool.version = version_in(config);
  if (const char* most = std::strstr(config, "MAX_THREADS=")) {
    pool.ceiling =
        std::max(0, static_cast<int>(std::strtol(most + std::strlen("MAX_THREADS="), nullptr, 10)));
  }
  pool.architecture = ask(pool, kCorename);
  const int parallel = pool.proof.at[kParallel] != 0 ? pool.call<int()>(kParallel)() : 1;
  pool.layer = pool.proof.at[kParallel] == 0 ? "unknown"
               : parallel == 2               ? "openmp"
               : parallel == 1               ? "pthreads"
                                             : "disabled";
  pool.scope = CW_SCOPE_PROCESS;
  if (parallel == 0) {
    pool.scope = CW_SCOPE_NONE;
    pool.ceiling = 1;
    pool.detail = "built without threads";
  } else if (parallel == 2) {
    if (pool.proof.at[kOmpGet] != 0 && pool.proof.at[kOmpSet] != 0) {
      pool.counter = pool.proof.at[kOmpSet];
      pool.scope = CW_SCOPE_THREAD;
      pool.detail = "shares the calling thread's OpenMP count";
    }
  }
  if (pool.ceiling > 0) pool.caller_slots = std::max(50, 2 * pool.ceiling);
}

// OpenBLAS's constructor has counted its threads. But over OpenMP we ask the OpenMP runtime, which
// the program may not have used yet.
Use used(const Pool& pool) {
  if (pool.counter == 0) return Use::kUsed;
  const Pool* const below = openmp_below(pool);
  if (below == nullptr) return Use::kUnknown;
  return below->may_be_asked() ? Use::kUsed : Use::kNotYet;
}

int get(const Pool& pool) { return pool.call<int()>(pool.counter != 0 ? kOmpGet : kGet)(); }

void set(Pool& pool, int threads) {
  pool.call<void(int)>(pool.counter != 0 ? kOmpSet : kSet)(threads);
}

// The kernel set in use: `gotoblas` points to its table, and the tables have names.
std::string kernels_in_use(const ModuleView& view) {
  constexpr const char* kCores[] = {
      "SkylakeX",      "Haswell",  "Zen",          "SapphireRapids", "Cooperlake", "Sandybridge",
      "Nehalem",       "Prescott", "Excavator",    "Steamroller",    "Piledriver", "Bulldozer",
      "Barcelona",     "Bobcat",   "Core2",        "Penryn",         "Dunnington", "Atom",
      "Nano",          "Opteron",  "Opteron_SSE3", "neoversen1",     "neoversev1", "neoversen2",
      "armv8",         "armv8sve", "cortexa53",    "cortexa57",      "cortexa72",  "thunderx2t99",
      "thunderx3t110", "tsv110",   "a64fx",        "vortexm4"};
  const auto table = view.number(view.variable("gotoblas").address, sizeof(void*));
  if (!table || *table == 0) return {};
  for (const char* core : kCores) {
    std::string name = "gotoblas_";
    for (const char* c = core; *c != '\0'; ++c) {
      name += static_cast<char>(*c >= 'a' && *c <= 'z' ? *c - 'a' + 'A' : *c);
    }
    if (view.variable(name).address == *table) return core;
  }
  return {};
}

// Only the pthreads build queues work asynchronously, and only builds with threads have a count.
OutsideCount read_outside(Pool& pool, const ModuleView& view) {
  const SymbolExtent count = view.variable("blas_cpu_number");
  pool.version = version_in(view.constant("OpenBLAS 0."));
  pool.architecture = kernels_in_use(view);
  // pthread_t blas_threads[MAX_THREADS]
  pool.ceiling = static_cast<int>(std::min<std::uint64_t>(
      view.variable("blas_threads").size / sizeof(std::uintptr_t), CW_MAX_THREADS));
  if (pool.ceiling > 0) pool.caller_slots = std::max(50, 2 * pool.ceiling);
  if (count.address == 0) {
    pool.layer = "disabled";
    pool.ceiling = 1;
    pool.detail = "built without threads, or stripped of the symbol blas_cpu_number";
    return {0, pool.detail};
  }
  if (view.variable("exec_blas_async").address == 0) {
    pool.layer = "openmp";
    pool.scope = CW_SCOPE_THREAD;
    pool.detail = "shares the calling thread's OpenMP count";
    return {0, pool.detail};
  }
  pool.layer = "pthreads";
  pool.scope = CW_SCOPE_PROCESS;
  const auto threads = view.number(count.address, sizeof(int));
  if (!threads) return {0, "the memory of the process may not be read"};
  if (*threads == 0) return {0, "it has not counted its threads yet"};
  if (*threads > CW_MAX_THREADS) {
    return {0,
            "blas_cpu_number holds " + std::to_string(*threads) + ", which is not a thread count"};
  }
  return {static_cast<int>(*threads), {}, count.address};
}

// Idle workers of the pthreads build compare the time-stamp counter with a static word: 2^26 or
// 2^28 cycles, unless the environment held another power when the library was loaded.
bool is_timeout(std::uint64_t cycles) {
  const auto asked = os::LiveMachine().variable("OPENBLAS_THREAD_TIMEOUT");
  const auto power =
      std::clamp<std::int64_t>(parse_integer(asked.value_or("28")).value_or(0), 4, 30);
  return cycles == std::uint64_t{1} << 26U || cycles == std::uint64_t{1} << 28U ||
         cycles == std::uint64_t{1} << static_cast<unsigned>(power);
}

bool user_has_said_how_long() {
  constexpr const char* kName = "OPENBLAS_THREAD_TIMEOUT";
  return os::variable(kName) &&
         !os::is_set_by_run(os::LiveMachine(), kName, "COREWISE_THREAD_TIMEOUT");
}

Result<SpinWord> spin_word(const Pool& pool) {
  constexpr std::uint64_t kBrief = std::uint64_t{1} << 16U;
  constexpr std::uint64_t kLongSpin = std::uint64_t{1} << 20U;
  if (pool.layer != "pthreads") return SpinWord{};
  auto at = word_by_symbol(pool, "thread_timeout", 4, "blas_thread_server", is_timeout);
  if (!at) at = word_by_store(pool, "blas_thread_init", is_timeout);
  if (at) return SpinWord{*at, 4, kBrief, user_has_said_how_long() ? 0 : kLongSpin};
  return Error{CW_NOT_AVAILABLE, "the idle threads of " + pool.path +
                                     " spin on: its thread_timeout was not found; start the "
                                     "program with OPENBLAS_THREAD_TIMEOUT=16"};
}

}  // namespace

const Runtime kOpenblas = {
    .name = "openblas",
    .api = CW_API_BLAS,
    .prefixes = kPrefixes,
    .environment = kEnvironment,
    .prove = prove,
    .describe = describe,
    .adopts_callers = true,  // so does the OpenMP below it
    .gate = GateKind::kOpenblas,
    // driver/others/memory.c: memory_overflowed is 0 until all buffers are taken at once; then
    // OpenBLAS prints the warning and makes auxiliary ones.
    .at_death = {.threads = "blas_cpu_number", .ran_out = "memory_overflowed", .exits = true},
    .used = used,
    .get = get,
    .set = set,
    .read_outside = read_outside,
    .spin_word = spin_word,
};

}  // namespace corewise
