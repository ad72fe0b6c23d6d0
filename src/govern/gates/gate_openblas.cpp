// Facts (driver/others/memory.c, blas_server.c, common_thread.h): setting a number below 1 means
// the largest ever used, and one above MAX_THREADS means MAX_THREADS. There are as many workers as
// the largest number ever set, so any smaller one may be stored. Over OpenMP the count follows
// omp_get_max_threads at every call.
#include "gate_openblas.h"

#include <algorithm>
#include <atomic>
#include <optional>
#include <utility>

#include "base/append_only.h"
#include "elf/bound_function.h"
#include "govern/grants/gate.h"
#include "govern/patch/code_ranges.h"
#include "govern/spinning/idle_pools.h"
#include "govern/spinning/long_spin.h"
#include "govern/teams/thread_caps.h"
#include "os/machine.h"
#include "os/os.h"
#include "pools/discover.h"
#include "pools/module_names.h"
#include "start_bound.h"

namespace corewise::govern::openblas {
namespace {

using Get = int();
using Set = void(int);

struct OpenblasCopy;

// A function of a copy, replaced at its entry.
struct ReplacedEntry {
  OpenblasCopy* copy = nullptr;
  std::optional<EntryHook> entry;
  bool installed = false;
};

struct OpenblasCopy {
  const void* served = nullptr;  // its name in openblas_buffers.h
  std::atomic<bool> active{false};
  std::uint32_t pool = gate::kNoPool;

  // Over pthreads: the library's count, and the program's number. Without setter and getter we
  // cannot tell one from the other, so we only read the count.
  int* count = nullptr;
  std::atomic<bool> lowers{false};
  std::atomic<int> program{1};
  std::atomic<int> largest{1};
  // True if the last call was granted less than it may have. The count then keeps that grant even
  // while no thread is inside: the others are about to come back, and vector routines, which take
  // no buffer, bypass the gate.
  std::atomic<bool> shared_out{false};
  int ceiling = 0;
  SpinWord spin;  // at 0: none was found
  ReplacedEntry set, goto_set, get;
  // Why they cannot be replaced, empty if they can; none as long as nobody has tried.
  std::optional<std::string> obstacle;

  // Over OpenMP: how many threads the calling thread may use.
  Get* openmp_threads = nullptr;
};

// Only attach() appends.
constinit AppendOnly<OpenblasCopy, 16> copies;

// The copies over OpenMP.
constinit CodeRanges over_openmp;

struct CallsOfThread {
  gate::Nest nest;
  int openmp_threads = 0;  // granted to the call that this thread is in; 0: none
};
[[gnu::tls_model("initial-exec")]] constinit thread_local CallsOfThread me;

OpenblasCopy* find(const void* served) {
  for (OpenblasCopy& copy : copies.all()) {
    if (copy.served == served) return &copy;
  }
  return nullptr;
}

// A thread that stores a grant while the copy is given back must restore the program's number:
// nobody else would. detach_all() first marks the copy as not governed, then stores.
void undo_late(const OpenblasCopy& copy) {
  if (!copy.active.load()) std::atomic_ref(*copy.count).store(copy.program.load());
}

// Stores only a new value: every call reads the count's cache line.
void store(const OpenblasCopy& copy, int threads) {
  const std::atomic_ref count(*copy.count);
  if (count.load(std::memory_order_relaxed) == threads) return;
  count.store(threads);
  undo_late(copy);
}

// What the count holds while no thread is inside.
int at_rest(const OpenblasCopy& copy) {
  const int program = copy.program.load(std::memory_order_relaxed);
  const int cap = gate::cap_of(copy.pool);
  return cap == 0 ? program : std::min(program, cap);
}

// If no CPU is left over, a thread that spins would take the CPU of one that works.
void share_cpus(const OpenblasCopy& copy, bool has_all) {
  if (!has_all || copy.spin.at == 0) return long_spin::end();
  long_spin::allow(copy.spin);
  if (!copy.active.load()) long_spin::end();
}

void enter_openmp(const OpenblasCopy& copy) {
  const int wanted = copy.openmp_threads();
  if (!gate::is_inside()) note_threads(copy.pool, wanted);
  const gate::Visit visit = gate::enter(gate::VisitKind::kCall, wanted, false, copy.pool);
  me.nest.push(visit);
  if (visit.counted) me.openmp_threads = visit.threads;
}

void enter(const void* served, int) {
  OpenblasCopy* const copy = find(served);
  if (copy == nullptr || !copy->active.load(std::memory_order_acquire)) return me.nest.push({});
  if (copy->openmp_threads != nullptr) return enter_openmp(*copy);
  if (!copy->lowers) {
    const int threads = std::atomic_ref(*copy->count).load(std::memory_order_relaxed);
    return me.nest.push(gate::enter(gate::VisitKind::kCall, threads, true));
  }
  const int wanted = copy->program.load(std::memory_order_relaxed);
  const gate::Visit visit = gate::enter(gate::VisitKind::kCall, wanted, false, copy->pool);
  me.nest.push(visit);
  const bool less = visit.threads < at_rest(*copy);
  if (visit.counted && copy->shared_out.load(std::memory_order_relaxed) != less) {
    copy->shared_out.store(less, std::memory_order_relaxed);
  }
  store(*copy, visit.threads);
  if (visit.counted) share_cpus(*copy, visit.threads == wanted);
}

void leave(const void*) {
  const gate::Visit visit = me.nest.pop();
  if (visit.counted) me.openmp_threads = 0;
  gate::leave(visit);
}

// A region of several threads starts: what its threads call must get no more than one thread each,
// and vector routines do not pass the gate.
void busy() {
  long_spin::end();
  for (const OpenblasCopy& copy : copies.all()) {
    if (copy.active.load(std::memory_order_acquire) && copy.lowers.load()) store(copy, 1);
  }
}

void idle() {
  for (const OpenblasCopy& copy : copies.all()) {
    if (!copy.active.load(std::memory_order_acquire) || !copy.lowers.load()) continue;
    if (copy.shared_out.load(std::memory_order_relaxed)) continue;
    const std::atomic_ref count(*copy.count);
    int seen = count.load(std::memory_order_relaxed);
    const int rest = at_rest(copy);
    // A caller that came in meanwhile has stored its grant, and keeps it.
    if (seen == rest || gate::is_busy()) continue;
    if (count.compare_exchange_strong(seen, rest)) undo_late(copy);
  }
}

constexpr gate::Observer kObserver = {busy, idle};

void hooked_set(int threads, const ReplacedEntry* replaced) {
  OpenblasCopy* const copy = replaced->copy;
  int program = threads;
  if (threads < 1) {
    program = copy->largest.load();
  } else if (copy->ceiling > 0) {
    program = std::min(threads, copy->ceiling);
  }
  copy->largest.store(std::max(copy->largest.load(), program));
  copy->program.store(program);
  replaced->entry->original<Set>()(threads);
  // A call inside has read the count. But a team may be running, and busy() does not come again.
  if (!copy->active.load() || !copy->lowers || program == 1) return;
  store(*copy, gate::is_busy() ? 1 : at_rest(*copy));
}

int hooked_get(const ReplacedEntry* replaced) {
  const OpenblasCopy* const copy = replaced->copy;
  if (!copy->active.load()) return replaced->entry->original<Get>()();
  if (copy->openmp_threads == nullptr) return copy->program.load();
  // The library's own count is the last call's; the next call gets what the program set.
  const int threads = copy->openmp_threads();
  return copy->ceiling > 0 ? std::min(threads, copy->ceiling) : threads;
}

// Tells copies over OpenMP the grant of the call that asks, and everybody else the truth.
int hooked_max_threads(const Origin* origin) {
  const auto caller = reinterpret_cast<std::uintptr_t>(__builtin_return_address(0));
  thread_caps::before_count(origin->function);
  const int threads = reinterpret_cast<Get*>(origin->function)();
  if (me.openmp_threads == 0 || !over_openmp.holds(caller)) return threads;
  return std::min(threads, me.openmp_threads);
}

// A copy over OpenMP sets a call's count as the calling thread's own, as if the program had set it;
// but it is only a grant.
void hooked_set_threads(int threads, const Origin* origin) {
  const auto caller = reinterpret_cast<std::uintptr_t>(__builtin_return_address(0));
  if (me.openmp_threads != 0 && over_openmp.holds(caller)) return;
  reinterpret_cast<Set*>(origin->function)(threads);
  thread_caps::after_set(origin->function);
}

// Fortran's setters take the address of the number, in one of two widths.
void hooked_set_threads_at(const void* threads, const Origin* origin) {
  reinterpret_cast<void (*)(const void*)>(origin->function)(threads);
  thread_caps::after_set(origin->function);
}

std::string prepare_entries(OpenblasCopy& copy, const Pool& pool, const ModuleNames& names) {
  const auto prepare = [&](const char* name, ReplacedEntry& replaced, int arguments,
                           const void* replacement) -> std::string {
    const std::string full = pool.proof.affix_prefix + name + pool.proof.affix_suffix;
    const SymbolExtent extent = names.anywhere(full);
    replaced.copy = &copy;
    auto entry = EntryHook::prepare({full + " of " + pool.path, extent.address, extent.size,
                                     arguments, replacement, &replaced});
    if (!entry) return entry.error().what;
    replaced.entry = std::move(*entry);
    return {};
  };
  std::string get =
      prepare("openblas_get_num_threads", copy.get, 0, reinterpret_cast<const void*>(&hooked_get));
  // Over OpenMP the library also calls the setter itself.
  if (copy.openmp_threads != nullptr || !get.empty()) return get;
  // Builds differ in which of the two does the work, and in whether one goes through the other.
  const auto* set = reinterpret_cast<const void*>(&hooked_set);
  std::string outer = prepare("openblas_set_num_threads", copy.set, 1, set);
  std::string inner = prepare("goto_set_num_threads", copy.goto_set, 1, set);
  return outer.empty() || inner.empty() ? std::string() : outer;
}

std::string install_entries(OpenblasCopy& copy) {
  for (ReplacedEntry* each : {&copy.set, &copy.goto_set, &copy.get}) {
    if (each->installed || !each->entry) continue;
    if (auto error = each->entry->install()) return error->what;
    each->installed = true;
  }
  return {};
}

std::vector<std::string> remove_entries(OpenblasCopy& copy) {
  std::vector<std::string> left;
  for (ReplacedEntry* each : {&copy.set, &copy.goto_set, &copy.get}) {
    if (!each->installed) continue;
    if (const auto error = each->entry->remove()) {
      left.push_back(error->what + "; it passes calls through");
    } else {
      each->installed = false;
    }
  }
  return left;
}

bool awaited_default() {
  static const bool awaited = start_bound::awaits_default(os::LiveMachine());
  return awaited;
}

// What a copy that a framework has given a default starts with: more can never be granted.
constinit std::atomic<int> most_granted{1};

// If the program sets OMP_NUM_THREADS before it loads OpenBLAS, OpenBLAS gets that number.
void follow_program(Pool& pool) {
  if (pool.layer != "pthreads") return;
  const auto asked = start_bound::asked_beside(
      os::usable_cpus(), awaited_default() ? most_granted.load() : 0, os::LiveMachine());
  if (asked) pool.runtime->set(pool, std::min(*asked, std::max(1, pool.ceiling)));
}

// omp_get_max_threads of the runtime whose count this copy sets. The copy's own entry may be ours
// by now.
Get* openmp_getter(const Pool& pool) {
  constexpr auto* kGetter = "omp_get_max_threads";
  if (const Pool* const below = openmp_below(pool)) {
    return reinterpret_cast<Get*>(ModuleNames(*below).exported(kGetter).address);
  }
  return reinterpret_cast<Get*>(elf::bound_function(pool.loader_path, kGetter, {}));
}

// Empty, or why the copy cannot be governed at all: then only `copy` has changed, and the next copy
// gets its place.
std::string prepare(OpenblasCopy& copy, const Pool& pool, const ModuleNames& names) {
  copy.ceiling = pool.ceiling;
  copy.spin = idle_pools::word_of(pool).value_or(SpinWord());
  copy.count = nullptr;
  copy.openmp_threads = nullptr;
  if (pool.layer == "openmp") {
    copy.openmp_threads = openmp_getter(pool);
    if (copy.openmp_threads == nullptr) return "its OpenMP runtime is not known";
    return over_openmp.add(names.module()) ? "" : "there are too many libraries over OpenMP";
  }
  const SymbolExtent count = names.anywhere("blas_cpu_number");
  if (count.address == 0 || count.address % alignof(int) != 0) {
    return "its blas_cpu_number is in no symbol table";
  }
  copy.count = reinterpret_cast<int*>(count.address);
  if (std::atomic_ref(*copy.count).load() != pool.threads()) {
    return "its blas_cpu_number is not its thread count";
  }
  return {};
}

// Takes over the program's number. Empty, or why the copy's calls can only be counted.
std::string take_over(OpenblasCopy& copy, const Pool& pool, const ModuleNames& names) {
  if (!copy.obstacle) copy.obstacle = prepare_entries(copy, pool, names);
  if (!copy.obstacle->empty()) return *copy.obstacle;
  if (copy.count != nullptr) {
    // While the copy is not governed, the count is the program's.
    const int now = std::atomic_ref(*copy.count).load();
    copy.program.store(now);
    copy.largest.store(std::max(copy.largest.load(), now));
  }
  if (std::string why = install_entries(copy); !why.empty()) {
    remove_entries(copy);
    return why;
  }
  return {};
}

}  // namespace

Attached attach(const Pool& pool, const openblas_buffers::CopyReport& served) {
  if (pool.layer == "disabled") return {false, "it was built without threads"};
  const ModuleNames names(pool);
  OpenblasCopy* copy = find(served.id);
  if (copy == nullptr) {
    copy = copies.next();
    if (copy == nullptr) return {false, "there are too many copies"};
    if (std::string reason = prepare(*copy, pool, names); !reason.empty()) return {false, reason};
    follow_program(pool_at(pool.id));
    copy->served = served.id;
    copy->pool = pool.id;
    copies.append();
  }
  if (copy->active.load()) return {true, {}};
  std::string weakness = take_over(*copy, pool, names);
  copy->lowers = copy->count != nullptr && weakness.empty();
  if (!weakness.empty()) {
    weakness += copy->count != nullptr
                    ? "; its calls are counted, and run as wide as the program sets"
                    : "; it tells the program what the last call was granted";
  }
  gate::observe(&kObserver);
  copy->active.store(true);
  return {true, weakness};
}

void begin(int most) {
  awaited_default();
  most_granted.store(most);
}

void obey_caps() { idle(); }

std::vector<std::string> detach_all() {
  std::vector<std::string> left;
  for (OpenblasCopy& copy : copies.all()) {
    if (!copy.active.exchange(false)) continue;
    for (std::string& why : remove_entries(copy)) left.push_back(std::move(why));
    if (copy.lowers) std::atomic_ref(*copy.count).store(copy.program.load());
  }
  long_spin::end();
  return left;
}

const openblas_buffers::Listener& listener() {
  static constexpr openblas_buffers::Listener kListener = {enter, leave};
  return kListener;
}

std::vector<GotRequest> got_requests() {
  return {got_request("omp_get_max_threads", hooked_max_threads, 0),
          got_request("omp_get_max_threads_", hooked_max_threads, 0),
          got_request("omp_set_num_threads", hooked_set_threads, 1),
          got_request("ompc_set_num_threads", hooked_set_threads, 1),
          got_request("omp_set_num_threads_", hooked_set_threads_at, 1),
          got_request("omp_set_num_threads_8_", hooked_set_threads_at, 1)};
}

}  // namespace corewise::govern::openblas
