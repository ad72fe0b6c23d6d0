// A descriptor of ours in the program's table. The program may close the number and get it back for
// a file of its own, so the number is ours only while the same file is behind it.
#pragma once

#include <sys/types.h>

#include <atomic>

namespace corewise::os {

// Not for eventfd and the like: they all share one inode. Only one thread at a time may adopt or
// close; other threads and the child of a fork may call own() meanwhile.
class OwnDescriptor {
 public:
  // Takes over a descriptor just opened and moves it to a number that no program picks by hand. On
  // failure, as when the process may have fewer than 16, closes it and returns false with errno.
  bool adopt(int fd) noexcept;

  bool is_open() const noexcept { return fd_.load() >= 0; }

  // The number, for poll() only: poll() does nothing to a file.
  int number() const noexcept { return fd_.load(); }

  // The number, if our file is still behind it; else -1, which every call refuses with EBADF.
  int own() const noexcept;

  // Forgets the number, and closes it if our file is still behind it.
  void close() noexcept;

 private:
  std::atomic<int> fd_{-1};
  std::atomic<dev_t> device_{0};
  std::atomic<ino_t> inode_{0};
};

}  // namespace corewise::os
