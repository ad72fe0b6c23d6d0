// A file descriptor that its owner closes. Keeps errno; may be used in signal handlers and in the
// child of vfork.
#pragma once

#include <unistd.h>

#include <utility>

#include "base/keep_errno.h"

namespace corewise::os {

class Descriptor {
 public:
  Descriptor() noexcept = default;
  explicit Descriptor(int fd) noexcept : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  // The descriptor from before is closed at the end of the other's life.
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Descriptor() {
    if (fd_ < 0) return;
    const KeepErrno keep;
    ::close(fd_);
  }

  bool is_open() const noexcept { return fd_ >= 0; }
  int number() const noexcept { return fd_; }  // below 0: none

 private:
  int fd_ = -1;
};

}  // namespace corewise::os
