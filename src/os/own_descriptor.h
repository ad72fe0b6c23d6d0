// A file of ours in a table that belongs to the program. The program may close the number and get
// it back for a file of its own, so the number counts only while the same file is behind it.
#pragma once

#include <sys/types.h>

#include <atomic>

namespace corewise::os {

// Not for eventfd and the like: they all have one inode. One thread at a time adopts and closes;
// others may call own() meanwhile, and so may the child of a fork.
class OwnDescriptor {
 public:
  // Takes over what was just opened, under a number that no program gives out by hand. False with
  // errno if it cannot be kept, as where the process may have fewer than 16; it is closed then.
  bool adopt(int fd) noexcept;

  bool is_open() const noexcept { return fd_.load() >= 0; }

  // The number, for poll() alone, which does nothing to a file.
  int number() const noexcept { return fd_.load(); }

  // The number, if our file is still behind it; else -1, which every call refuses with EBADF.
  int own() const noexcept;

  // Lets go of it, and closes it if it is ours to close.
  void close() noexcept;

 private:
  std::atomic<int> fd_{-1};
  std::atomic<dev_t> device_{0};
  std::atomic<ino_t> inode_{0};
};

}  // namespace corewise::os
