#include "spin_word.h"

#include <atomic>

namespace corewise {

std::uint64_t SpinWord::load() const {
  if (width == 8) {
    return std::atomic_ref(*reinterpret_cast<std::uint64_t*>(at)).load(std::memory_order_relaxed);
  }
  return std::atomic_ref(*reinterpret_cast<std::uint32_t*>(at)).load(std::memory_order_relaxed);
}

void SpinWord::store(std::uint64_t value) const {
  if (width == 8) {
    std::atomic_ref(*reinterpret_cast<std::uint64_t*>(at)).store(value, std::memory_order_relaxed);
  } else {
    std::atomic_ref(*reinterpret_cast<std::uint32_t*>(at))
        .store(static_cast<std::uint32_t>(value), std::memory_order_relaxed);
  }
}

bool SpinWord::exchange(std::uint64_t expected, std::uint64_t value) const {
  if (width == 8) {
    return std::atomic_ref(*reinterpret_cast<std::uint64_t*>(at))
        .compare_exchange_strong(expected, value);
  }
  auto held = static_cast<std::uint32_t>(expected);
  return std::atomic_ref(*reinterpret_cast<std::uint32_t*>(at))
      .compare_exchange_strong(held, static_cast<std::uint32_t>(value));
}

}  // namespace corewise
