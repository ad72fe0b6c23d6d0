// The vocabulary of all later stages: module, runtime, pool.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/cpuset.h"
#include "base/error.h"
#include "corewise.h"
#include "entry.h"
#include "first_use.h"
#include "spin_word.h"

namespace corewise {

using Api = cw_api;
using Scope = cw_scope;

inline constexpr std::array<const char*, 5> kApiNames = {"openmp", "blas", "tbb", "arrow", "numba"};
constexpr const char* api_name(Api api) { return kApiNames[static_cast<std::size_t>(api)]; }

// Where a runtime was recognised: the addresses of the functions that prove and control it. Each
// file in runtimes/ names its own indices.
struct Proof {
  std::array<std::uintptr_t, 13> at{};
  std::string affix_prefix;  // "scipy_" of scipy_openblas_set_num_threads64_
  std::string affix_suffix;  // "64_"
};

struct Runtime;

// One runtime found in one loaded module. describe() creates it; then only `state` changes.
// discover.h replaces a pool that has more to tell, once it is used, by a fuller one.
struct Pool {
  std::uint32_t id = 0;
  const Runtime* runtime = nullptr;
  Proof proof;
  Scope scope = CW_SCOPE_NONE;
  int ceiling = 0;
  int caller_slots = 0;
  std::string prefix;
  std::string path;  // links resolved, if the file is still there
  std::string version;
  std::string layer;
  std::string architecture;
  std::string detail;
  bool may_use_fewer = false;  // than it is set to, without saying so (MKL_DYNAMIC)
  std::uintptr_t base = 0;
  std::string loader_path;  // the name that dlopen(RTLD_NOLOAD) knows the module by

  // The setter of the count that this pool uses. Pools with equal, non-zero setters share one count
  // (OpenBLAS over OpenMP and its OpenMP runtime): limiting either limits both.
  std::uintptr_t counter = 0;

  // What the runtime needs to undo a set (oneTBB's control object); guarded by limit.cpp's lock.
  void* state = nullptr;

  // Where the library keeps whether it has been used; 0 if it does not, or if that is not known.
  std::uintptr_t used_at = 0;
  // Runtime::ask has filled what only the library itself can tell.
  bool asked = false;

  // Asking changes nothing in the library: the program has used it, and it takes the calling thread
  // for the program's, if it takes threads for somebody's at all.
  bool may_be_asked() const;
  // The count now, as the calling thread sees it, at least 1; nothing if the library does not tell,
  // or if asking would change something. On a thread of ours that a library must not see: what a
  // thread of the program was last seen to have. Changes nothing.
  std::optional<int> threads() const;
  // The same, even if asking is the first use: for a caller that is about to set the pool.
  std::optional<int> ask_threads() const;
  // The calling thread is ours, and the library must not see it: it would adopt it.
  bool hides_from_caller() const;
  // `detail`, or if there is none, why threads() is nothing.
  const char* shown_detail() const;

  template <class Function>
  Function* call(std::size_t function) const {
    return reinterpret_cast<Function*>(proof.at[function]);
  }
};

// Whether the program has used the library, by the word at pool.used_at.
Use use_by_word(const Pool& pool);

// While the object lives the calling thread may be inside a call of any library. We do not ask a
// library that holds a lock of its own there: the thread would wait for itself.
class AmidCall {
 public:
  AmidCall();
  ~AmidCall();
  AmidCall(const AmidCall&) = delete;
  AmidCall& operator=(const AmidCall&) = delete;

 private:
  bool outer_;
};

bool is_amid_call();

// While the object lives the calling thread is ours, and not the program's.
class OwnThread {
 public:
  OwnThread();
  ~OwnThread();
  OwnThread(const OwnThread&) = delete;
  OwnThread& operator=(const OwnThread&) = delete;

 private:
  bool outer_;
};

bool is_own_thread();

// That a thread of the program has this count. Any thread; neither allocates nor locks.
void note_threads(std::uint32_t pool, int threads) noexcept;

// Looks names up in a module that may be live, on disk, or in another process.
class SymbolLookup {
 public:
  virtual ~SymbolLookup() = default;
  // Run-time (or file) address of a dynamic symbol; 0 if absent.
  virtual std::uintptr_t address(std::string_view name) const = 0;
  // Where the module's own calls to a function that another module defines arrive; 0 if it makes
  // none, or if we cannot tell (on disk, from outside).
  virtual std::uintptr_t callee(std::string_view) const { return 0; }
  // File name without folder, and DT_SONAME; for telling apart what symbols cannot, and for
  // pools' names. Lower-cased.
  virtual std::string file_name() const = 0;
  virtual std::string soname() const = 0;
};

// The memory that a symbol names.
struct SymbolExtent {
  std::uintptr_t address = 0;  // 0: there is no such symbol
  std::size_t size = 0;
};

// A module of another process, as we see it without stopping it or running anything in it.
class ModuleView {
 public:
  virtual ~ModuleView() = default;
  // Local symbols too, if the file was not stripped.
  virtual SymbolExtent variable(std::string_view name) const = 0;
  // The unsigned number of `bytes` bytes at a run-time address now.
  virtual std::optional<std::uint64_t> number(std::uintptr_t address, std::size_t bytes) const = 0;
  // The first string constant with this beginning; empty if none.
  virtual std::string constant(std::string_view beginning) const = 0;
  // A variable of the environment that the process was started with; empty if unset.
  virtual std::string started_with(std::string_view name) const = 0;
};

// A pool's count as seen from outside.
struct OutsideCount {
  int threads = 0;      // 0: cannot be told from outside
  std::string unknown;  // why, if threads is 0
  // Where the library keeps the count of the whole process as an int, if a smaller one may be
  // stored there at any time; 0: nowhere.
  std::uintptr_t count_at = 0;
};

// Where an OpenMP runtime binds threads to CPUs.
struct Places {
  std::vector<CpuSet> all;  // empty: it binds no thread
  int cpus = 0;             // how many the process had when the runtime was loaded
};

// An environment variable that the runtime reads when it loads, and the API whose count it holds.
struct EnvVariable {
  const char* name;
  Api api;
};

// Where the governor gates a runtime's work (govern/pool_policy.h). kNone: a limit has to do.
enum class GateKind { kNone, kOpenblas, kLibgomp, kLlvm, kTbb };

// A kind of thread pool library: one file in runtimes/, ending in one of these.
struct Runtime {
  const char* name;  // "openblas"
  Api api;
  std::span<const char* const> prefixes;  // its file-name prefixes, in lower case
  std::span<const EnvVariable> environment;

  // Fills proof if the module holds this runtime. Calls nothing in it, so it works from outside.
  bool (*prove)(const SymbolLookup& symbols, Proof& proof);
  // Fills what is known without using the library: it may call functions that only return what
  // the library was built with, or that its constructors have prepared.
  void (*describe)(Pool& pool);

  // A runtime may lack any of the members below.

  // Its functions may wait for a lock that the library itself holds while it calls the loader.
  bool locks = false;
  // A thread that calls it, or what it calls, counts as one of the program's from then on: it takes
  // a place below KMP_DEVICE_THREAD_LIMIT, and has a number. Of pools with a count for each thread.
  bool adopts_callers = false;
  // Its threads belong to another library, or it is part of a larger one: where a thread begins
  // does not show whether it is one of its workers.
  bool shares_threads = false;
  GateKind gate = GateKind::kNone;
  // What a report of the process's death says of it.
  struct AtDeath {
    // Names of its own variables (int): its threads now, and whether it ran out of buffers. Null:
    // it has none. Over OpenMP they say nothing.
    const char* threads = nullptr;
    const char* ran_out = nullptr;
    bool exits = false;  // it calls exit() if the system is out of memory
    // With this layer, it raises SIGTERM if it refuses to go on; null: never.
    const char* raises_sigterm = nullptr;
  } at_death = {};
  // Whether the program has used the library yet. Calls nothing in it. Without it, asking changes
  // nothing at any time.
  Entry<Use(const Pool& pool)> used = nullptr;
  // Fills what only the library, once used, can tell. Never called under a lock but govern's.
  Entry<void(Pool& pool)> ask = nullptr;
  // Threads now, as the calling thread sees it; below 1 when it does not tell.
  Entry<int(const Pool& pool)> get = nullptr;
  // Sets the count; the caller has checked the range and reads back afterwards.
  Entry<void(Pool& pool, int threads)> set = nullptr;
  // What release() needs to know, read before the first set. Without it get() tells it.
  Entry<int(Pool& pool)> hold = nullptr;
  // Undoes all sets since hold(), which returned `held`. Without it set(held) does it.
  Entry<void(Pool& pool, int held)> release = nullptr;
  // Fills what can be seen of a pool of another process, and returns its count. Without it: only
  // that it is there.
  Entry<OutsideCount(Pool& pool, const ModuleView& view)> read_outside = nullptr;
  // True if both are faces of one pool, so that it must be listed once. Without it: never.
  Entry<bool(const Pool& pool, const Pool& known)> same = nullptr;

  // If an OpenMP runtime lacks it, or it returns nothing: the runtime may bind the thread that
  // starts its first region, and asking for the places would start the runtime.
  Entry<std::optional<Places>(const Pool& pool)> places = nullptr;

  // Finds where the loaded library keeps how long its idle threads spin; at 0 if none of them do,
  // or if the user chose how long. Without it: not known for this runtime.
  Entry<Result<SpinWord>(const Pool& pool)> spin_word = nullptr;
};

// Every runtime, in order of precedence (runtimes/table.cpp).
std::span<const Runtime* const> runtimes();

}  // namespace corewise
