// A process that ignores SIGCHLD, as some supervisors start theirs, is never told how a child
// ended.
#pragma once

#include <signal.h>

namespace corewise::cli {

// While one lives, we can wait for our children.
class KeptChildren {
 public:
  KeptChildren() {
    struct sigaction plain{};
    plain.sa_handler = SIG_DFL;
    ::sigaction(SIGCHLD, &plain, &inherited_);
  }
  KeptChildren(const KeptChildren&) = delete;
  KeptChildren& operator=(const KeptChildren&) = delete;
  ~KeptChildren() { restore(); }

  // Also for a child that becomes another program.
  void restore() const { ::sigaction(SIGCHLD, &inherited_, nullptr); }

 private:
  struct sigaction inherited_{};
};

}  // namespace corewise::cli
