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

  // Whether the kernel does not say what is behind the number.
  bool is_hidden() const noexcept;

  // Forgets the number, and closes it if our file is still behind it.
  void close() noexcept;

 private:
  std::atomic<int> fd_{-1};
  std::atomic<dev_t> device_{0};
  std::atomic<ino_t> inode_{0};
};

// A file that stays open for the life of the process, because a later open() may be fatal. Programs
// close all their descriptors, as daemons do: then it is opened again when it is next needed.
class KeptFile {
 public:
  // The path lives as long as the file.
  explicit constexpr KeptFile(const char* path) noexcept : path_(path) {}

  enum class Kept {
    yes,      // it is open
    later,    // it is not open, and this is no time to open it
    refused,  // the kernel does not open it, or does not say whether it is open
  };

  // Opens the file if it was never opened, or if the program has closed it or put a file of its own
  // at the number. May be called by any thread, in signal handlers too; not in a child of vfork.
  // Waits for nobody and allocates nothing. Keeps errno.
  //
  // It is no time while another thread is at it or forks, nor while one of the numbers 0 to 2 is
  // free: a daemon is about to open its standard streams, and open() takes the lowest number, which
  // we give back a moment later. The file is opened a hundred times at most.
  Kept keep() noexcept;

  // For the child of a fork, whose descriptor is its parent's: opens one of its own.
  Kept keep_anew() noexcept;

  // The number, if our file is behind it; else -1.
  int own() const noexcept { return file_.own(); }

 private:
  Kept open() noexcept;

  const char* path_;
  OwnDescriptor file_;
  std::atomic<bool> opened_{false};
  std::atomic<int> times_{0};
};

}  // namespace corewise::os
