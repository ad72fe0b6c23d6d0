// Times that all processes of a machine agree on.
#pragma once

#include <time.h>

#include <cstdint>

namespace corewise {

// A reading costs a few nanoseconds: the coarse clock needs no system call. Its tick of 1 to 10 ms
// is finer than any epoch here.
inline std::uint64_t now_ms() noexcept {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1000 +
         static_cast<std::uint64_t>(now.tv_nsec) / 1'000'000;
}

inline std::uint64_t now_ns() noexcept {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000 +
         static_cast<std::uint64_t>(now.tv_nsec);
}

inline double now_s() noexcept { return 1e-9 * static_cast<double>(now_ns()); }

}  // namespace corewise
