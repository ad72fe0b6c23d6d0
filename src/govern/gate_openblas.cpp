// Facts (driver/others/memory.c, blas_server.c, common_thread.h): a set below 1 means the largest
// number ever used, one above MAX_THREADS means that; there are as many workers as the largest
// number ever set, so that any smaller one may be stored. Over OpenMP the count follows
// omp_get_max_threads at every call.
#include "gate_openblas.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <optional>
#include <span>
#include <utility>

#include "gate.h"
#include "gate_exact.h"
#include "module_names.h"

namespace corewise::govern::openblas {
namespace {

constexpr std::size_t kMostCopies = 16;

using Get = int();
using Set = void(int);

struct Copy {
  const void* served = nullptr;  // the arena's name for it
  std::atomic<bool> active{false};

  // Over pthreads: the library's count, and the program's number. Without setter and getter the one
  // cannot be told from the other, so that the count is only looked at.
  int* count = nullptr;
  bool lowers = false;
  std::atomic<int> program{1};
  std::atomic<int> largest{1};
  int ceiling = 0;
  std::optional<Entry> set, get;
  Set* original_set = nullptr;
  Get* original_get = nullptr;
  bool set_installed = false;
  bool get_installed = false;

  // Over OpenMP: how many threads it may use.
  Get* openmp_threads = nullptr;
};

// What is below `known` stays; only install writes.
constinit std::array<Copy, kMostCopies> copies;
constinit std::atomic<std::size_t> known{0};

struct Caller {
  gate::Nest nest;
  int openmp_threads = 0;  // granted to the call that this thread is in; 0: none
};
[[gnu::tls_model("initial-exec")]] constinit thread_local Caller me;

std::span<Copy> all_copies() {
  return std::span(copies).first(known.load(std::memory_order_acquire));
}

Copy* find(const void* served) {
  for (Copy& copy : all_copies()) {
    if (copy.served == served) return &copy;
  }
  return nullptr;
}

// Stores only what changes something: the count shares its cache line with every call.
void store(const Copy& copy, int threads) {
  const std::atomic_ref count(*copy.count);
  if (count.load(std::memory_order_relaxed) != threads) {
    count.store(threads, std::memory_order_relaxed);
  }
}

void enter_openmp(const Copy& copy) {
  const gate::Visit visit = gate::enter(gate::Kind::kCall, copy.openmp_threads());
  me.nest.push(visit);
  if (visit.counted) me.openmp_threads = visit.threads;
}

void enter(const void* served, int) {
  Copy* const copy = find(served);
  if (copy == nullptr || !copy->active.load(std::memory_order_relaxed)) return me.nest.push({});
  if (copy->openmp_threads != nullptr) return enter_openmp(*copy);
  if (!copy->lowers) {
    const int threads = std::atomic_ref(*copy->count).load(std::memory_order_relaxed);
    return me.nest.push(gate::enter(gate::Kind::kCall, threads, true));
  }
  const int wanted = copy->program.load(std::memory_order_relaxed);
  const gate::Visit visit = gate::enter(gate::Kind::kCall, wanted);
  me.nest.push(visit);
  store(*copy, visit.threads);
}

void leave(const void*) {
  const gate::Visit visit = me.nest.pop();
  if (visit.counted) me.openmp_threads = 0;
  gate::leave(visit);
}

// A region of several threads starts: what its threads call must not get more than one each, and
// vector routines come without a word.
void busy() {
  for (const Copy& copy : all_copies()) {
    if (copy.lowers && copy.active.load(std::memory_order_relaxed)) store(copy, 1);
  }
}

void idle() {
  for (const Copy& copy : all_copies()) {
    if (!copy.lowers || !copy.active.load(std::memory_order_relaxed)) continue;
    const std::atomic_ref count(*copy.count);
    int seen = count.load(std::memory_order_relaxed);
    const int program = copy.program.load(std::memory_order_relaxed);
    // Whoever came in meanwhile has stored its grant, and keeps it.
    if (seen != program && !gate::is_busy()) count.compare_exchange_strong(seen, program);
  }
}

constexpr gate::Observer kObserver = {busy, idle};

void hooked_set(int threads, Copy* copy) {
  int program = threads;
  if (threads < 1) {
    program = copy->largest.load();
  } else if (copy->ceiling > 0) {
    program = std::min(threads, copy->ceiling);
  }
  copy->largest.store(std::max(copy->largest.load(), program));
  copy->program.store(program);
  copy->original_set(threads);
  // Whoever is inside has read what it needs; but there may be a team, and nobody tells it again.
  if (copy->active.load() && gate::is_busy() && program > 1) store(*copy, 1);
}

int hooked_get(Copy* copy) {
  return copy->active.load() ? copy->program.load() : copy->original_get();
}

// To copies over OpenMP, the grant of the call that asks; to everybody else, the truth.
int hooked_max_threads(const Origin* origin) {
  const auto caller = reinterpret_cast<std::uintptr_t>(__builtin_return_address(0));
  const int threads = reinterpret_cast<Get*>(origin->function)();
  if (me.openmp_threads == 0 || !exact::holds(caller)) return threads;
  return std::min(threads, me.openmp_threads);
}

std::string replace_setter_and_getter(Copy& copy, const Pool& pool, const ModuleNames& names) {
  const std::string& before = pool.proof.affix_prefix;
  const std::string& after = pool.proof.affix_suffix;
  // In some builds the setter is a mere jump to the other name.
  const std::string inner = before + "goto_set_num_threads" + after;
  const std::string outer = before + "openblas_set_num_threads" + after;
  const std::string getter = before + "openblas_get_num_threads" + after;
  const auto prepare = [&](const std::string& name, int arguments, const void* replacement) {
    const ModuleNames::Place place = names.anywhere(name);
    return Entry::prepare(
        {name + " of " + pool.path, place.address, place.size, arguments, replacement, &copy});
  };
  auto get = prepare(getter, 0, reinterpret_cast<const void*>(&hooked_get));
  auto set = prepare(inner, 1, reinterpret_cast<const void*>(&hooked_set));
  if (!set) set = prepare(outer, 1, reinterpret_cast<const void*>(&hooked_set));
  if (!get) return get.error().what;
  if (!set) return set.error().what;
  copy.original_get = get->original<Get>();
  copy.original_set = set->original<Set>();
  copy.get = *std::move(get);
  copy.set = *std::move(set);
  return {};
}

std::string install_setter_and_getter(Copy& copy) {
  for (auto [entry, installed] :
       {std::pair(&copy.set, &copy.set_installed), std::pair(&copy.get, &copy.get_installed)}) {
    if (*installed) continue;
    if (auto error = (*entry)->install()) return error->what;
    *installed = true;
  }
  return {};
}

std::vector<std::string> remove_setter_and_getter(Copy& copy) {
  std::vector<std::string> left;
  for (auto [entry, installed] :
       {std::pair(&copy.set, &copy.set_installed), std::pair(&copy.get, &copy.get_installed)}) {
    if (!*installed) continue;
    if (const auto error = (*entry)->remove()) {
      left.push_back(error->what + "; it passes calls through");
    } else {
      *installed = false;
    }
  }
  return left;
}

// Empty, or why the copy cannot be governed at all.
std::string prepare(Copy& copy, const Pool& pool, const ModuleNames& names) {
  if (pool.layer == "openmp") {
    if (!exact::add(names.module())) return "there are too many libraries over OpenMP";
    copy.openmp_threads =
        reinterpret_cast<Get*>(os::symbol_seen_by(pool.loader_path, "omp_get_max_threads"));
    return copy.openmp_threads == nullptr ? "its OpenMP runtime was not found" : "";
  }
  const ModuleNames::Place count = names.anywhere("blas_cpu_number");
  if (count.address == 0 || count.address % alignof(int) != 0) {
    return "its blas_cpu_number is in no symbol table";
  }
  copy.count = reinterpret_cast<int*>(count.address);
  if (*copy.count != pool.runtime->get(pool)) return "its blas_cpu_number is not its thread count";
  copy.ceiling = pool.ceiling;
  return {};
}

// Makes the program's number ours to keep. Empty, or why the copy's calls can only be counted.
std::string take_over(Copy& copy, const Pool& pool, const ModuleNames& names) {
  if (!copy.set) {
    if (std::string why = replace_setter_and_getter(copy, pool, names); !why.empty()) return why;
  }
  // What stands there while nobody is governed is the program's.
  copy.program.store(*copy.count);
  copy.largest.store(std::max(copy.largest.load(), *copy.count));
  if (std::string why = install_setter_and_getter(copy); !why.empty()) {
    remove_setter_and_getter(copy);
    return why;
  }
  return {};
}

}  // namespace

Attached attach(const Pool& pool, const arena::Copy& served) {
  if (pool.layer == "disabled") return {false, "it was built without threads"};
  const ModuleNames names(pool);
  Copy* copy = find(served.id);
  if (copy == nullptr) {
    const std::size_t at = known.load();
    if (at == kMostCopies) return {false, "there are too many copies"};
    copy = &copies[at];
    if (std::string reason = prepare(*copy, pool, names); !reason.empty()) return {false, reason};
    copy->served = served.id;
    known.store(at + 1, std::memory_order_release);
  }
  if (copy->active.load()) return {true, {}};
  std::string weakness;
  if (copy->count != nullptr) {
    weakness = take_over(*copy, pool, names);
    copy->lowers = weakness.empty();
    if (!weakness.empty())
      weakness += "; its calls are counted, and run as wide as the program sets";
  }
  gate::observe(&kObserver);
  copy->active.store(true);
  return {true, weakness};
}

std::vector<std::string> detach_all() {
  std::vector<std::string> left;
  for (Copy& copy : all_copies()) {
    if (!copy.active.exchange(false) || !copy.lowers) continue;
    for (std::string& why : remove_setter_and_getter(copy)) left.push_back(std::move(why));
    store(copy, copy.program.load());
  }
  return left;
}

const arena::Listener& listener() {
  static constexpr arena::Listener kListener = {enter, leave};
  return kListener;
}

std::vector<SlotRequest> slot_requests() {
  return {{"omp_get_max_threads", reinterpret_cast<const void*>(&hooked_max_threads), 0}};
}

}  // namespace corewise::govern::openblas
