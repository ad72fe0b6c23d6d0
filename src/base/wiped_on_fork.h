// Memory that the child of a fork finds empty, also if the fork runs no handlers: the kernel does
// it.
#pragma once

#include <sys/mman.h>

#include <new>
#include <type_traits>

namespace corewise {

// A page of its own, which lives for good unless delete_wiped_on_fork() is called. Null where the
// kernel cannot (before 4.14). All bytes zero must be a T, which the child finds.
template <class T>
T* new_wiped_on_fork() noexcept {
  static_assert(std::is_trivially_destructible_v<T>);
  void* const page =
      ::mmap(nullptr, sizeof(T), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (page == MAP_FAILED) return nullptr;
  if (::madvise(page, sizeof(T), MADV_WIPEONFORK) == 0) return new (page) T;
  ::munmap(page, sizeof(T));
  return nullptr;
}

template <class T>
void delete_wiped_on_fork(T* page) noexcept {
  ::munmap(page, sizeof(T));
}

}  // namespace corewise
