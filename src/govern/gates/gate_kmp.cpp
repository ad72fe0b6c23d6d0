// Facts (openmp/runtime/src/kmp_csupport.cpp, kmp_runtime.cpp, z_Linux_asm.S): the arguments of
// __kmpc_fork_call beyond the third are `argc` words, copied for each thread of the team and handed
// to the region's function after the addresses of two thread numbers. A pushed number of threads
// holds for the next region of its thread, the last push wins. If an `if` clause makes that region
// serial, newer runtimes forget the number, older ones (LLVM 14) keep it for the next.
//
// So that workers know that they are inside, we replace the region's function by one that takes a
// single argument: the address of the true function and its arguments. These lie in the frame of
// the thread that forks, which outlives the region.
#include "gate_kmp.h"

#include <algorithm>
#include <array>
#include <cstdarg>
#include <cstdint>
#include <optional>
#include <utility>

#include "govern/grants/gate.h"
#include "govern/spinning/waiting.h"
#include "govern/teams/bends.h"
#include "govern/teams/team_bounds.h"
#include "govern/teams/thread_caps.h"
#include "os/machine.h"
#include "pools/pool.h"

namespace corewise::govern::kmp {
namespace {

using Microtask = void(std::int32_t* global, std::int32_t* bound, ...);
using Fork = void(void* location, std::int32_t argc, Microtask* task, ...);
using ForkIf = void(void* location, std::int32_t argc, Microtask* task, std::int32_t condition,
                    void* argument);
using Push = void(void* location, std::int32_t thread, std::int32_t number);
using PushList = void(void* location, std::int32_t thread, std::uint32_t length,
                      std::int32_t* list);
using PushStrict = void(void* location, std::int32_t thread, std::int32_t number,
                        std::int32_t severity, const char* message);
using Serialize = void(void* location, std::int32_t thread);
using PushListStrict = void(void* location, std::int32_t thread, std::uint32_t length,
                            std::int32_t* list, std::int32_t severity, const char* message);

// A copy of the runtime. Filled before the first of its GOT entries is rewritten, then constant.
struct LlvmCopy {
  Fork* fork = nullptr;
  ForkIf* fork_if = nullptr;
  Push* push = nullptr;
  PushList* push_list = nullptr;
  PushStrict* push_strict = nullptr;
  PushListStrict* push_list_strict = nullptr;
  Serialize* serialize = nullptr;
  std::int32_t (*thread_number)(void* location) = nullptr;
  int (*max_threads)() = nullptr;
  int (*team)() = nullptr;  // size of the calling thread's team
  TeamBounds bounds;
  int (*invoke)(Microtask*, int, int, int, void**, void**) = nullptr;
  waiting::GetBlocktime* get_blocktime = nullptr;
  waiting::SetBlocktime* set_blocktime = nullptr;
  std::uint32_t pool = gate::kNoPool;
};
constinit std::array<LlvmCopy, kMostCopies> copies;

// The num_threads clause of the region to come.
struct Clause {
  std::int32_t threads = 0;  // 0: no clause
  bool strict = false;       // strict, or a list: no other may be pushed after it
};
[[gnu::tls_model("initial-exec")]] constinit thread_local Clause clause;
// The num_threads clause of the last region, if that one ran serially: older runtimes apply it to
// the next region.
[[gnu::tls_model("initial-exec")]] constinit thread_local std::int32_t left_over = 0;

struct LlvmRegion {
  Microtask* task;
  void** arguments;
  std::int32_t argc;
  bool governed;
  const LlvmCopy* copy;
  waiting::Blocktime blocktime;
  os::Uncancelled* uncancelled;
};

template <std::size_t... i>
#if defined(__clang__)
[[clang::no_sanitize("function")]]
#endif
void call(const LlvmRegion& region, std::int32_t* global, std::int32_t* bound,
          std::index_sequence<i...>) {
  // The compiler made it a non-variadic function. Both calling conventions let it get more
  // arguments than it takes.
  using Plain = void(std::int32_t*, std::int32_t*, decltype(i, static_cast<void*>(nullptr))...);
  reinterpret_cast<Plain*>(region.task)(global, bound, region.arguments[i]...);
}

// The caller's array has at least this many entries.
constexpr std::int32_t kMostByCall = 64;

void run(const LlvmRegion& region, std::int32_t* global, std::int32_t* bound) {
  if (region.argc <= 8) {
    call(region, global, bound, std::make_index_sequence<8>());
  } else if (region.argc <= kMostByCall) {
    call(region, global, bound, std::make_index_sequence<kMostByCall>());
  } else {
    void* frame = nullptr;
    region.copy->invoke(region.task, *global, *bound, region.argc, region.arguments, &frame);
  }
}

void run_as_member(std::int32_t* global, std::int32_t* bound, ...) {
  va_list rest;
  va_start(rest, bound);
  const LlvmRegion region = *va_arg(rest, const LlvmRegion*);
  va_end(rest);
  if (!region.governed) return run(region, global, bound);
  // The runtime may start fewer threads than were asked for; team() tells.
  const gate::TeamMember member(region.copy->team());
  const waiting::Member waits(region.blocktime);
  std::optional<os::Uncancelled::Program> forking;
  if (region.uncancelled != nullptr && *bound == 0) forking.emplace(*region.uncancelled);
  run(region, global, bound);
}

// The visit of a region, for the life of the object.
class RegionVisit {
 public:
  RegionVisit(const LlvmCopy& copy, void* location, Microtask* task) {
    const Clause asked = std::exchange(clause, {});
    const std::int32_t before = std::exchange(left_over, 0);
    if (asked.threads == 1 || !gate::is_open() || copy.bounds.is_serial()) return;
    const bool whole = asked.strict || !bends(reinterpret_cast<std::uintptr_t>(task));
    if (whole && asked.threads == 0) {
      thread_caps::before_region(static_cast<std::size_t>(&copy - copies.data()));
    }
    int wanted = asked.threads;
    if (wanted == 0) {
      wanted = copy.max_threads();
      if (!gate::is_inside()) note_threads(copy.pool, wanted);
    }
    // Not every runtime still has the number, so a region that bends gets told one.
    const bool overrule = !whole && asked.threads == 0 && before != 0;
    if (overrule) wanted = std::min(wanted, before);
    wanted = copy.bounds.within_limit(wanted);
    visit_ = gate::enter(gate::VisitKind::kRegion, wanted, whole, copy.pool);
    // If all was granted, the program's own number stays.
    if (visit_.threads < wanted || overrule) {
      copy.push(location, copy.thread_number(location), visit_.threads);
    }
  }
  ~RegionVisit() { gate::leave(visit_); }
  RegionVisit(const RegionVisit&) = delete;
  RegionVisit& operator=(const RegionVisit&) = delete;

  const gate::Visit& visit() const { return visit_; }
  bool has_workers() const { return visit_.governed && visit_.threads > 1; }

 private:
  gate::Visit visit_;
};

LlvmRegion region_of(Microtask* task, void** arguments, std::int32_t argc,
                     const RegionVisit& entered, const LlvmCopy& runtime, waiting::Region& waits) {
  return {task,
          arguments,
          argc,
          entered.has_workers(),
          &runtime,
          waits.blocktime(),
          waits.uncancelled()};
}

template <std::size_t copy>
void fork_call(void* location, std::int32_t argc, Microtask* task, ...) {
  const LlvmCopy& runtime = copies[copy];
  const auto count = static_cast<std::size_t>(std::max(0, argc));
  std::array<void*, kMostByCall> few{};
  void** arguments = few.data();
  if (argc > kMostByCall) {
    arguments = static_cast<void**>(__builtin_alloca(count * sizeof(void*)));
  }
  va_list rest;
  va_start(rest, task);
  for (std::size_t i = 0; i < count; ++i) arguments[i] = va_arg(rest, void*);
  va_end(rest);
  const RegionVisit entered(runtime, location, task);
  waiting::Region waits(copy, entered.visit());
  LlvmRegion region = region_of(task, arguments, argc, entered, runtime, waits);
  runtime.fork(location, 1, run_as_member, &region);
}

template <std::size_t copy>
void fork_call_if(void* location, std::int32_t argc, Microtask* task, std::int32_t condition,
                  void* argument) {
  const LlvmCopy& runtime = copies[copy];
  if (condition == 0) {
    clause = {};
    return runtime.fork_if(location, argc, task, condition, argument);
  }
  std::array<void*, kMostByCall> arguments{argument};
  const RegionVisit entered(runtime, location, task);
  waiting::Region waits(copy, entered.visit());
  LlvmRegion region = region_of(task, arguments.data(), 1, entered, runtime, waits);
  runtime.fork_if(location, 1, run_as_member, condition, &region);
}

template <std::size_t copy>
void push(void* location, std::int32_t thread, std::int32_t number) {
  clause = {.threads = std::max(0, number)};
  copies[copy].push(location, thread, number);
}

template <std::size_t copy>
void push_list(void* location, std::int32_t thread, std::uint32_t length, std::int32_t* list) {
  clause = {.threads = length > 0 ? std::max(0, list[0]) : 0, .strict = true};
  copies[copy].push_list(location, thread, length, list);
}

template <std::size_t copy>
void push_strict(void* location, std::int32_t thread, std::int32_t number, std::int32_t severity,
                 const char* message) {
  clause = {.threads = std::max(0, number), .strict = true};
  copies[copy].push_strict(location, thread, number, severity, message);
}

template <std::size_t copy>
void push_list_strict(void* location, std::int32_t thread, std::uint32_t length, std::int32_t* list,
                      std::int32_t severity, const char* message) {
  clause = {.threads = length > 0 ? std::max(0, list[0]) : 0, .strict = true};
  copies[copy].push_list_strict(location, thread, length, list, severity, message);
}

template <std::size_t copy>
void serialized_parallel(void* location, std::int32_t thread) {
  const Clause unused = std::exchange(clause, {});
  if (unused.threads != 0) left_over = unused.threads;
  copies[copy].serialize(location, thread);
}

template <std::size_t copy>
int get_blocktime() {
  const waiting::Blocktime& seen = waiting::blocktime();
  return seen.lowered ? seen.own : copies[copy].get_blocktime();
}

template <std::size_t copy>
void set_blocktime(int milliseconds) {
  waiting::number_set(copy);
  copies[copy].set_blocktime(milliseconds);
}

template <std::size_t copy>
void set_blocktime_of_fortran(const int* milliseconds) {
  set_blocktime<copy>(*milliseconds);
}

using Requests = std::array<GotRequest, 12>;

template <std::size_t copy>
Requests requests_of_copy() {
  return {got_request("__kmpc_fork_call", fork_call<copy>),
          got_request("__kmpc_fork_call_if", fork_call_if<copy>),
          got_request("__kmpc_push_num_threads", push<copy>),
          got_request("__kmpc_push_num_threads_list", push_list<copy>),
          got_request("__kmpc_push_num_threads_strict", push_strict<copy>),
          got_request("__kmpc_push_num_threads_list_strict", push_list_strict<copy>),
          got_request("__kmpc_serialized_parallel", serialized_parallel<copy>),
          got_request("kmp_get_blocktime", get_blocktime<copy>),
          got_request("kmp_get_blocktime_", get_blocktime<copy>),
          got_request("kmp_set_blocktime", set_blocktime<copy>),
          got_request("kmp_set_blocktime_", set_blocktime_of_fortran<copy>),
          got_request("kmpc_set_blocktime", set_blocktime<copy>)};
}

template <std::size_t... copy>
Requests requests_of(std::size_t wanted, std::index_sequence<copy...>) {
  Requests found{};
  ((wanted == copy ? void(found = requests_of_copy<copy>()) : void()), ...);
  return found;
}

template <class Function>
void find(const libgomp::FunctionByName& symbol, const char* name, Function*& out) {
  out = reinterpret_cast<Function*>(symbol(name));
}

// Only if the user has not said how threads wait.
void follow_load(std::size_t copy, const libgomp::FunctionByName& symbol) {
  const os::LiveMachine machine;
  for (const char* said : {"KMP_BLOCKTIME", "KMP_LIBRARY", "OMP_WAIT_POLICY"}) {
    if (machine.variable(said)) return;
  }
  const LlvmCopy& mine = copies[copy];
  if (mine.get_blocktime == nullptr || mine.set_blocktime == nullptr) return;
  int (*processors)() = nullptr;
  find(symbol, "omp_get_num_procs", processors);
  if (processors == nullptr) return;
  waiting::add_blocktime(copy, {mine.get_blocktime, mine.set_blocktime, processors});
}

}  // namespace

std::vector<GotRequest> got_requests(std::size_t copy, std::uint32_t pool,
                                     const libgomp::FunctionByName& symbol) {
  LlvmCopy& mine = copies[copy];
  mine.pool = pool;
  find(symbol, "__kmpc_fork_call", mine.fork);
  find(symbol, "__kmpc_fork_call_if", mine.fork_if);
  find(symbol, "__kmpc_push_num_threads", mine.push);
  find(symbol, "__kmpc_push_num_threads_list", mine.push_list);
  find(symbol, "__kmpc_push_num_threads_strict", mine.push_strict);
  find(symbol, "__kmpc_push_num_threads_list_strict", mine.push_list_strict);
  find(symbol, "__kmpc_serialized_parallel", mine.serialize);
  find(symbol, "__kmpc_global_thread_num", mine.thread_number);
  find(symbol, "omp_get_max_threads", mine.max_threads);
  find(symbol, "omp_get_num_threads", mine.team);
  find(symbol, "__kmp_invoke_microtask", mine.invoke);
  find(symbol, "kmp_get_blocktime", mine.get_blocktime);
  find(symbol, "kmp_set_blocktime", mine.set_blocktime);
  std::vector<GotRequest> all;
  // Without these we could govern no region, or not run every one.
  if (mine.fork == nullptr || mine.push == nullptr || mine.thread_number == nullptr ||
      mine.max_threads == nullptr || mine.team == nullptr || mine.invoke == nullptr) {
    return all;
  }
  mine.bounds = TeamBounds(symbol);
  follow_load(copy, symbol);
  for (GotRequest request : requests_of(copy, std::make_index_sequence<kMostCopies>())) {
    request.only = symbol(request.symbol);
    if (request.only != nullptr) all.push_back(request);
  }
  return all;
}

}  // namespace corewise::govern::kmp
