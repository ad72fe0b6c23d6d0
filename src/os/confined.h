// Filters of system calls (seccomp). One that the program installs makes it confined: from then on
// a system call such as open() may kill the program, so at forks, at exit and in hooks we leave out
// everything that is not needed. A filter that it was started under may be fatal from the
// beginning.
#pragma once

#include <sys/types.h>

#include <atomic>

namespace corewise::os {

// Whether this process was started under a filter that kills it for a system call of ours: then the
// program must be left alone altogether. Asked for the first time, under a filter, a child of its
// own makes each of our calls once, with arguments that do nothing, and is killed or not. The
// program sees nothing of that child. Containers have filters too, whose answers are errors: there
// it costs a fork. False if it cannot be tried.
bool is_filter_fatal();

// The same for one system call that only some processes need, with this second argument.
bool is_call_fatal(long number, long second = 0);

// Remembers the current state; a second call does nothing.
void watch_confinement();

// Calls only getpid(), and fstat() and pread() on a file opened earlier. Once true, it stays true,
// in forked children too. May be called anywhere, even in a signal handler. False if nobody called
// watch_confinement().
//
// If the program has closed that file, there may be a filter for which open() is fatal. If we would
// have seen that filter (see_filters), there is none, and the file is opened again; where this is
// no time for that (own_descriptor.h), the answer is false. Else it is true.
bool is_confined() noexcept;

// For a call of the program's that opens files anyway: if the program has closed the file by which
// is_confined() sees filters, opens it again.
void keep_watching() noexcept;

// Whether FilterToCome sees each filter that the program installs through the C library. Call it
// with true only while open() is not fatal.
void see_filters(bool all) noexcept;

// The program is about to install a filter, and we see it: if it succeeds, the process is known to
// be confined, and nobody needs to ask the kernel, which the filter may make fatal.
class FilterToCome {
 public:
  FilterToCome() noexcept;
  void is_installed() const noexcept;

 private:
  bool ours_;  // not of a child of vfork, which has our memory
};

// Whether the system call of this number, with this first argument, is one that installs a filter.
bool installs_filter(long number, long operation) noexcept;

// Whether is_confined() has been true, or a filter was seen. Calls nothing.
bool is_known_confined() noexcept;

// This process's number; in one that is known to be confined, without asking the kernel. In a child
// of vfork, only the former is the child's own.
pid_t own_process() noexcept;
inline bool is_owned_by_this_process(const std::atomic<pid_t>& owner) noexcept {
  return owner.load() == own_process();
}

// Which process something belongs to. The child of a fork owns nothing of its parent's, even if it
// has the same number in a namespace of its own; nor does the child of vfork, which has another.
class Owner {
 public:
  // Call once before the others, while the library is loaded. Without, or on a kernel that cannot,
  // only the numbers tell.
  void prepare() noexcept;
  void take() noexcept;
  bool is_this_process() const noexcept;
  // Nobody owns it from now on. True for the one caller who has ended this process's ownership.
  bool give_up() noexcept;
  void clear() noexcept { cell().store(0); }

 private:
  std::atomic<pid_t>& cell() noexcept { return wiped_ != nullptr ? *wiped_ : spare_; }
  const std::atomic<pid_t>& cell() const noexcept { return wiped_ != nullptr ? *wiped_ : spare_; }

  std::atomic<pid_t> spare_{0};
  std::atomic<pid_t>* wiped_ = nullptr;
};

}  // namespace corewise::os
