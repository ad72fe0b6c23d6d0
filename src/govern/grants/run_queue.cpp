#include "run_queue.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "base/keep_errno.h"
#include "os/own_descriptor.h"
#include "os/uncancelled.h"

namespace corewise::govern {

std::optional<int> runnable_in(std::string_view loadavg) {
  const std::size_t slash = loadavg.find('/');
  if (slash == std::string_view::npos) return std::nullopt;
  const std::size_t space = loadavg.rfind(' ', slash);
  const char* const first = loadavg.data() + (space == std::string_view::npos ? 0 : space + 1);
  const char* const last = loadavg.data() + slash;
  int runnable = 0;
  const auto [end, error] = std::from_chars(first, last, runnable);
  if (error != std::errc{} || end != last || runnable < 0) return std::nullopt;
  return runnable;
}

void RunQueue::note(std::uint64_t now_ms, int others) noexcept {
  const bool fresh = now_ms - last_ms_.load(std::memory_order_relaxed) <= kFreshMs;
  const std::uint64_t before = fresh ? readings_.load(std::memory_order_relaxed) : 0;
  readings_.store(before << 16 | static_cast<std::uint64_t>(std::clamp(others, 0, 0xffff)),
                  std::memory_order_relaxed);
  last_ms_.store(now_ms, std::memory_order_relaxed);
}

int RunQueue::others(std::uint64_t now_ms) const noexcept {
  static_assert(kReadings == 4, "the readings fill a word");
  if (now_ms - last_ms_.load(std::memory_order_relaxed) > kFreshMs) return 0;
  const std::uint64_t word = readings_.load(std::memory_order_relaxed);
  std::array<int, kReadings> readings{};
  for (unsigned i = 0; i < kReadings; ++i) readings[i] = static_cast<int>(word >> 16 * i & 0xffff);
  std::ranges::nth_element(readings, readings.begin() + 1);
  return readings[1];
}

namespace {
constinit os::KeptFile loadavg("/proc/loadavg");
}  // namespace

void keep_loadavg_open() noexcept { static_cast<void>(loadavg.keep()); }

std::optional<int> runnable_now() noexcept {
  const os::Uncancelled uncancelled;
  const KeepErrno keep;
  std::array<char, 128> text;
  int file = loadavg.own();
  if (file < 0 && loadavg.keep() == os::KeptFile::Kept::yes) file = loadavg.own();
  const ssize_t got = file < 0 ? -1 : ::pread(file, text.data(), text.size(), 0);
  if (got <= 0) return std::nullopt;
  return runnable_in({text.data(), static_cast<std::size_t>(got)});
}

}  // namespace corewise::govern
