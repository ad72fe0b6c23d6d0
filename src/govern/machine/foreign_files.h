// Small files of other users in a folder that all may write to, such as /dev/shm. Their owner may
// be hostile: put anything in a file's place, truncate it, or mount a file system of his own over
// it, at any moment. So nothing here maps such a file, where a read beyond a new end would kill us,
// or opens what could block us: a FIFO, a file under a lease, another mount.
//
// Allocates nothing and takes no lock: may be called in hooks.
#pragma once

#include <sys/types.h>

#include <array>
#include <cstddef>
#include <span>

#include "os/descriptor.h"
#include "os/uncancelled.h"

namespace corewise::govern {

class ForeignFiles {
 public:
  explicit ForeignFiles(const char* folder) noexcept;

  // The next name, in the folder's order; null after the last, and after so many that somebody must
  // have filled the folder on purpose. The text lives until the next call.
  const char* next() noexcept;

  // Fills `bytes` from a file that is plainly this user's: regular, with one name, mode 0644, and
  // exactly as long as `bytes`. False for everything else.
  bool read(const char* name, uid_t owner, std::span<std::byte> bytes) const noexcept;

  // Whether the kernel opens files as read() wants it (openat2, since Linux 5.6), and no filter
  // forbids that. Without it no file is read. Not for hooks.
  static bool can_read();

 private:
  static constexpr int kMostNames = 4096;

  os::Uncancelled uncancelled_;
  os::Descriptor folder_;
  int names_ = 0;
  std::size_t at_ = 0;
  std::size_t end_ = 0;
  alignas(8) std::array<char, 1024> entries_;
};

}  // namespace corewise::govern
