// A table that only grows: entries stay where they are and are never removed, so reading takes no
// lock, in signal handlers and in the child of a fork too.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <span>

namespace corewise {

// One thread at a time appends: its caller holds a lock. Any number of threads read meanwhile.
template <class T, std::size_t kMost>
class AppendOnly {
 public:
  // The entries that are complete. The caller may change what is atomic in them.
  std::span<T> all() { return std::span(entries_).first(size()); }
  std::span<const T> all() const { return std::span(entries_).first(size()); }
  T& operator[](std::size_t at) { return entries_[at]; }
  std::size_t size() const { return size_.load(std::memory_order_acquire); }

  // The entry after the last; null if there is no room. Nobody else sees it before append().
  T* next() {
    const std::size_t at = size_.load(std::memory_order_relaxed);
    return at < kMost ? &entries_[at] : nullptr;
  }
  // Shows readers the entry that next() returned, as it is now.
  void append() {
    size_.store(size_.load(std::memory_order_relaxed) + 1, std::memory_order_release);
  }

 private:
  std::array<T, kMost> entries_{};
  std::atomic<std::size_t> size_{0};
};

}  // namespace corewise
