// What we do between two calls of a program must not change its errno.
#pragma once

#include <cerrno>

namespace corewise {

class KeepErrno {
 public:
  KeepErrno() : kept_(errno) {}
  KeepErrno(const KeepErrno&) = delete;
  KeepErrno& operator=(const KeepErrno&) = delete;
  ~KeepErrno() { errno = kept_; }

 private:
  int kept_;
};

}  // namespace corewise
