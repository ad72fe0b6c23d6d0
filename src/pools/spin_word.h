// Where a loaded library keeps how long its idle threads spin.
#pragma once

#include <cstddef>
#include <cstdint>

namespace corewise {

// A naturally aligned word of 4 or 8 bytes in writable memory.
struct SpinWord {
  std::uintptr_t at = 0;  // 0: there is none
  std::size_t width = 4;
  std::uint64_t brief = 0;  // what it must hold while governed, if it holds more
  std::uint64_t long_spin =
      0;  // what it may hold while long_spin.h allows it; up to `brief`: never
  // The library's other word, of the same width, which holds while the process has more threads
  // than CPUs; 0: it has none, or we did not find it.
  std::uintptr_t throttled_at = 0;

  std::uint64_t load() const;
  void store(std::uint64_t value) const;
  // False if it holds another value, which stays.
  bool exchange(std::uint64_t expected, std::uint64_t value) const;
};

}  // namespace corewise
