// Records what a task does: when its parallel regions and BLAS calls begin, and how long each takes
// on one thread. The product's gate asks this recorder instead of the product, and always gets one
// thread; nothing of the recorder is in the product. For tasks that run on one thread of the
// program; record.py uses it.
#include <sys/types.h>
#include <time.h>

#include <array>
#include <cstdint>
#include <cstdio>

#include "govern/govern.h"
#include "govern/grants/gate.h"

namespace {

using namespace corewise::govern;

struct Row {
  std::uint64_t before_ns;
  std::uint64_t work_ns;
  int wanted;
};

constexpr std::size_t kMostRows = 1 << 18;
constinit std::array<Row, kMostRows> rows{};
constinit std::size_t row_count = 0;
constinit std::uint64_t left_ns = 0;   // the last region
constinit std::uint64_t began_ns = 0;  // the one that runs
constinit Row open_row{};

std::uint64_t now_ns() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000 +
         static_cast<std::uint64_t>(now.tv_nsec);
}

Grant acquire(void*, const GrantRequest& request) noexcept {
  open_row = {now_ns() - left_ns, 0, request.wanted};
  began_ns = now_ns();
  return {1, 1};
}

void release(void*, const Grant&) noexcept {
  open_row.work_ns = now_ns() - began_ns;
  if (row_count < kMostRows) rows[row_count++] = open_row;
  left_ns = now_ns();
}

constexpr Grants kRecorder = {acquire, release, nullptr};

}  // namespace

extern "C" {

// Each call starts a new recording. Not 0: this process cannot be governed.
[[gnu::visibility("default")]] int corewise_record_start() {
  if (!is_governed()) {
    GovernOptions options;
    // As wide as any pool here wants, so that a pool's wish still tells which pool it is.
    options.budget = 64;
    options.overcommit = true;
    options.key = "corewise-record";
    if (govern(options)) return 1;
  }
  gate::open(&kRecorder);
  row_count = 0;
  left_ns = now_ns();
  return 0;
}

// Writes "before,wanted,work" for each region, and the time after the last one as a row that wants
// 0. Returns how many rows, or -1 if there were too many or the file cannot be written.
[[gnu::visibility("default")]] long corewise_record_stop(const char* path) {
  const std::uint64_t after = now_ns() - left_ns;
  gate::open(nullptr);
  if (row_count == kMostRows) return -1;
  std::FILE* file = std::fopen(path, "w");
  if (file == nullptr) return -1;
  for (std::size_t i = 0; i < row_count; ++i) {
    std::fprintf(file, "%llu,%d,%llu\n", static_cast<unsigned long long>(rows[i].before_ns),
                 rows[i].wanted, static_cast<unsigned long long>(rows[i].work_ns));
  }
  std::fprintf(file, "%llu,0,0\n", static_cast<unsigned long long>(after));
  return std::fclose(file) == 0 ? static_cast<long>(row_count) : -1;
}
}
