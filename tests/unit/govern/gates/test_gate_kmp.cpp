// The gate of LLVM's runtimes over one made here, which runs each region on the calling thread
// alone.
#include <doctest/doctest.h>

#include <cstdarg>
#include <string_view>

#include "gate_fixture.h"
#include "govern/gates/gate_kmp.h"
#include "grant_table.h"

using namespace corewise;
using namespace corewise::govern;
using test::GrantTable;

namespace {

using Microtask = void(std::int32_t*, std::int32_t*, ...);
using Fork = void(void*, std::int32_t, Microtask*, ...);
using Push = void(void*, std::int32_t, std::int32_t);
using PushStrict = void(void*, std::int32_t, std::int32_t, std::int32_t, const char*);
using Serialize = void(void*, std::int32_t);

constexpr int kMostThreads = 4;

struct {
  std::int32_t pushed = 0;  // for the next region
  int team = 0;             // of the last one
} runtime;

// Regions here have one or two arguments.
void fork_call(void* /*location*/, std::int32_t argc, Microtask* task, ...) {
  va_list rest;
  va_start(rest, task);
  void* const first = va_arg(rest, void*);
  void* const second = argc > 1 ? va_arg(rest, void*) : nullptr;
  va_end(rest);
  runtime.team = runtime.pushed != 0 ? runtime.pushed : kMostThreads;
  runtime.pushed = 0;
  std::int32_t zero = 0;
  task(&zero, &zero, first, second);
}

void push(void* /*location*/, std::int32_t /*thread*/, std::int32_t number) {
  runtime.pushed = number;
}

void push_strict(void* /*location*/, std::int32_t /*thread*/, std::int32_t number,
                 std::int32_t /*severity*/, const char* /*message*/) {
  runtime.pushed = number;
}

int invoke(Microtask* task, int global, int bound, int /*argc*/, void** arguments,
           void** /*frame*/) {
  task(&global, &bound, arguments[0], arguments[1]);
  return 1;
}

void* symbol(std::string_view name) {
  if (name == "__kmpc_fork_call") return reinterpret_cast<void*>(fork_call);
  if (name == "__kmpc_push_num_threads") return reinterpret_cast<void*>(push);
  if (name == "__kmpc_push_num_threads_strict") return reinterpret_cast<void*>(push_strict);
  if (name == "__kmpc_serialized_parallel") {
    return reinterpret_cast<void*>(+[](void*, std::int32_t) {});
  }
  if (name == "__kmpc_global_thread_num") {
    return reinterpret_cast<void*>(+[](void*) -> std::int32_t { return 0; });
  }
  if (name == "omp_get_max_threads") return reinterpret_cast<void*>(+[] { return kMostThreads; });
  if (name == "omp_get_num_threads") return reinterpret_cast<void*>(+[] { return runtime.team; });
  if (name == "__kmp_invoke_microtask") return reinterpret_cast<void*>(invoke);
  return nullptr;
}

std::vector<GotRequest> requests() { return kmp::got_requests(0, gate::kNoPool, symbol); }

template <class Function>
Function* replacement_of(std::string_view name) {
  return test::replacement_in<Function>(requests(), name);
}

// What a region saw.
struct Seen {
  GrantTable* table = nullptr;
  void* second = nullptr;
  int open = 0;
  bool inside = false;
};

void region(std::int32_t* /*global*/, std::int32_t* /*bound*/, Seen* seen, void* second) {
  seen->open = seen->table->open;
  seen->second = second;
  seen->inside = gate::is_inside();
}

// `clause`: of num_threads; 0: none.
Seen go(GrantTable& table, std::int32_t clause = 0) {
  auto* const fork = replacement_of<Fork>("__kmpc_fork_call");
  if (clause != 0) replacement_of<Push>("__kmpc_push_num_threads")(nullptr, 0, clause);
  Seen seen{.table = &table};
  fork(nullptr, 2, reinterpret_cast<Microtask*>(reinterpret_cast<void*>(region)), &seen, &table);
  CHECK(seen.second == &table);
  CHECK(table.open == 0);
  return seen;
}

}  // namespace

TEST_CASE("LLVM's gate: a runtime without what regions need has no GOT entries") {
  CHECK(requests().size() == 4);
  const auto without = [](const char* name) {
    return std::string_view(name) == "__kmp_invoke_microtask" ? nullptr : symbol(name);
  };
  CHECK(kmp::got_requests(1, gate::kNoPool, without).empty());
}

TEST_CASE("LLVM's gate: a whole region is counted, and its team is the program's") {
  GrantTable table(2);
  const Seen seen = go(table);
  CHECK(runtime.team == kMostThreads);
  CHECK(seen.open == 1);
  CHECK(seen.inside);
  go(table, 7);
  CHECK(runtime.team == 7);
}

TEST_CASE("LLVM's gate: a region that bends gets what was granted") {
  GrantTable table(2);
  const test::ThisProgramBends bends;
  go(table);
  CHECK(runtime.team == 2);
  go(table, 7);
  CHECK(runtime.team == 2);
}

TEST_CASE("LLVM's gate: a strict clause is kept, also where the region bends") {
  GrantTable table(2);
  const test::ThisProgramBends bends;
  replacement_of<PushStrict>("__kmpc_push_num_threads_strict")(nullptr, 0, 6, 2, nullptr);
  go(table);
  CHECK(runtime.team == 6);
}

TEST_CASE("LLVM's gate: a clause holds for one region") {
  GrantTable table(8);
  go(table, 3);
  CHECK(runtime.team == 3);
  go(table);
  CHECK(runtime.team == kMostThreads);
}

TEST_CASE("LLVM's gate: a clause of a region that became serial bounds the next that bends") {
  GrantTable table(8);
  const test::ThisProgramBends bends;
  replacement_of<Push>("__kmpc_push_num_threads")(nullptr, 0, 3);
  replacement_of<Serialize>("__kmpc_serialized_parallel")(nullptr, 0);
  go(table);
  CHECK(runtime.team == 3);
}

TEST_CASE("LLVM's gate: a clause of one passes uncounted") {
  GrantTable table(2);
  const Seen seen = go(table, 1);
  CHECK(runtime.team == 1);
  CHECK(seen.open == 0);
  CHECK_FALSE(seen.inside);
}
