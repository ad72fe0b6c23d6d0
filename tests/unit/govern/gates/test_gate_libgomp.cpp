// libgomp's gate over a runtime made here, which runs each region on the calling thread alone.
#include <doctest/doctest.h>

#include <cstring>
#include <string_view>

#include "gate_fixture.h"
#include "govern/gates/gate_libgomp.h"
#include "grant_table.h"

using namespace corewise;
using namespace corewise::govern;
using test::GrantTable;

namespace {

using Outlined = void(void*);
using Parallel = void(Outlined*, void*, unsigned, unsigned);
using Start = void(Outlined*, void*, unsigned);
using End = void();

struct {
  unsigned asked = 99;
  int team = 1;
  void* first_word = nullptr;  // of what the region was given
} runtime;

constexpr int kMostThreads = 4;

void run(Outlined* function, void* data, unsigned threads) {
  runtime.asked = threads;
  runtime.team = threads != 0 ? static_cast<int>(threads) : kMostThreads;
  std::memcpy(&runtime.first_word, data, sizeof(void*));
  function(data);
}

void parallel(Outlined* function, void* data, unsigned threads, unsigned /*flags*/) {
  run(function, data, threads);
  runtime.team = 1;
}

void parallel_start(Outlined* function, void* data, unsigned threads) {
  run(function, data, threads);
}

void* symbol(std::string_view name) {
  if (name == "omp_get_max_threads") return reinterpret_cast<void*>(+[] { return kMostThreads; });
  if (name == "omp_get_num_threads") return reinterpret_cast<void*>(+[] { return runtime.team; });
  if (name == "GOMP_parallel") return reinterpret_cast<void*>(parallel);
  if (name == "GOMP_parallel_start") return reinterpret_cast<void*>(parallel_start);
  if (name == "GOMP_parallel_end") return reinterpret_cast<void*>(+[] { runtime.team = 1; });
  return nullptr;
}

std::vector<GotRequest> requests() { return libgomp::got_requests(0, gate::kNoPool, symbol); }

template <class Function>
Function* replacement_of(std::string_view name) {
  return test::replacement_in<Function>(requests(), name);
}

// What a region saw.
struct Seen {
  void* word = nullptr;
  GrantTable* table = nullptr;
  int runs = 0;
  int open = 0;
  bool inside = false;
};

void region(void* data) {
  Seen& seen = *static_cast<Seen*>(data);
  ++seen.runs;
  seen.inside = gate::is_inside();
  seen.open = seen.table->open;
}

Seen go(GrantTable& table, unsigned threads) {
  Seen seen{.word = &table, .table = &table};
  replacement_of<Parallel>("GOMP_parallel")(region, &seen, threads, 0);
  CHECK(seen.runs == 1);
  CHECK(table.open == 0);
  return seen;
}

}  // namespace

TEST_CASE("libgomp's gate: only functions that the runtime has are replaced") {
  const auto all = requests();
  CHECK(all.size() == 3);
  for (const GotRequest& each : all) CHECK(each.only == symbol(each.symbol));
  const auto without = [](const char* name) {
    return std::string_view(name) == "omp_get_num_threads" ? nullptr : symbol(name);
  };
  CHECK(libgomp::got_requests(1, gate::kNoPool, without).empty());
}

TEST_CASE("libgomp's gate: a whole region is counted, and asks for what the program asked") {
  GrantTable table(2);
  const Seen seen = go(table, 5);
  CHECK(runtime.asked == 5);
  CHECK(seen.open == 1);
  CHECK(seen.inside);
  CHECK(table.free == 2);
  go(table, 0);
  CHECK(runtime.asked == 0);
}

TEST_CASE("libgomp's gate: a region that bends asks for what was granted") {
  GrantTable table(2);
  const test::ThisProgramBends bends;
  go(table, 5);
  CHECK(runtime.asked == 2);
  go(table, 0);
  CHECK(runtime.asked == 2);
  table.free = 8;
  go(table, 0);
  CHECK(runtime.asked == 0);  // all was granted: the runtime has its own say
}

TEST_CASE("libgomp's gate: a region of one thread passes untouched") {
  GrantTable table(2);
  const Seen seen = go(table, 1);
  CHECK(runtime.asked == 1);
  CHECK(seen.open == 0);
  CHECK_FALSE(seen.inside);
}

TEST_CASE("libgomp's gate: the runtime finds the first word of the region's data") {
  GrantTable table(2);
  go(table, 5);
  CHECK(runtime.first_word == &table);
}

TEST_CASE("libgomp's gate: a pair of calls holds its grant from the one to the other") {
  GrantTable table(2);
  auto* const start = replacement_of<Start>("GOMP_parallel_start");
  auto* const end = replacement_of<End>("GOMP_parallel_end");
  Seen seen{.word = &table, .table = &table};
  start(region, &seen, 3);
  CHECK(runtime.asked == 3);
  CHECK(table.open == 1);
  CHECK(gate::is_inside());
  end();
  CHECK(table.open == 0);
  CHECK_FALSE(gate::is_inside());
}

TEST_CASE("libgomp's gate: where nobody governs, nothing is counted or changed") {
  replacement_of<Parallel>("GOMP_parallel");
  GrantTable closed(2);
  gate::open(nullptr);
  const Seen seen = go(closed, 5);
  CHECK(runtime.asked == 5);
  CHECK(seen.open == 0);
  CHECK_FALSE(seen.inside);
}
