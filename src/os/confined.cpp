#include "confined.h"

#include <fcntl.h>
#include <linux/membarrier.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sched.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <charconv>
#include <optional>
#include <span>
#include <string_view>

#include "base/keep_errno.h"
#include "base/wiped_on_fork.h"
#include "descriptor.h"
#include "fork.h"
#include "os.h"
#include "own_descriptor.h"
#include "uncancelled.h"

namespace corewise::os {
namespace {

struct Filters {
  int mode = 0;   // of /proc/PID/status: "Seccomp"
  int count = 0;  // "Seccomp_filters", from Linux 5.9 on: a container has some from the start
  friend bool operator==(const Filters&, const Filters&) = default;
};

// The calling process's own: the kernel resolves /proc/self at open().
constinit KeptFile status("/proc/self/status");
constinit std::atomic<bool> watched{false};
constinit std::atomic<bool> filters_are_seen{false};
constinit std::atomic<pid_t> watcher{0};  // the process itself
constinit std::atomic<bool> confined{false};
constinit Filters before{};

// Of a whole line that begins with `name`, if `text` has it.
std::optional<int> number_after(std::string_view text, std::string_view name) noexcept {
  const std::size_t at = text.find(name);
  if (at == text.npos || text.find('\n', at + name.size()) == text.npos) return std::nullopt;
  int value = 0;
  std::from_chars(text.data() + at + name.size(), text.data() + text.size(), value);
  return value;
}

constexpr std::string_view kMode = "\nSeccomp:\t";
constexpr std::string_view kCount = "\nSeccomp_filters:\t";

// Reads piece by piece: a program may fork on a signal's stack of 8 KiB. Neither line is longer
// than what two pieces share. False if the file is closed.
bool read_filters(int fd, Filters& filters) noexcept {
  constexpr std::size_t kShared = 64;
  // For each piece the kernel writes the whole file anew, and the lines hardly move.
  static constinit std::atomic<off_t> last{-1};
  std::array<char, 512> piece;
  const auto read = [&](off_t at) -> std::optional<std::string_view> {
    const ssize_t size = ::pread(fd, piece.data(), piece.size(), at);
    if (size < 0) return std::nullopt;
    return std::string_view(piece.data(), static_cast<std::size_t>(size));
  };
  if (const off_t guess = last.load(); guess >= 0) {
    const auto text = read(guess);
    if (!text) return false;
    const auto mode = number_after(*text, kMode);
    const auto count = number_after(*text, kCount);
    if (mode && count) {
      filters = {*mode, *count};
      return true;
    }
  }
  filters = {};
  for (off_t at = 0;; at += piece.size() - kShared) {
    const auto text = read(at);
    if (!text || (text->empty() && at == 0)) return false;
    if (const auto mode = number_after(*text, kMode)) {
      filters.mode = *mode;
      const auto line = static_cast<off_t>(text->find(kMode));
      last.store(std::max<off_t>(0, at + line - off_t{kShared}));
    }
    if (const auto count = number_after(*text, kCount)) filters.count = *count;
    if (text->size() < piece.size()) return true;
  }
}

bool read(Filters& filters) noexcept {
  const Uncancelled uncancelled;
  const KeepErrno keep;
  return read_filters(status.own(), filters);
}

// The C library knows its thread's number, and writes it into a recursive mutex. The only thread of
// a forked child has the number of the process.
pid_t number_of_only_thread() noexcept {
  pthread_mutex_t mutex = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;
  ::pthread_mutex_lock(&mutex);
  const pid_t number = mutex.__data.__owner;
  ::pthread_mutex_unlock(&mutex);
  return number;
}

void open_own() noexcept {
  if (status.keep_anew() == KeptFile::Kept::yes) watched.store(read(before));
}

// A call with arguments that make it fail or only ask: a descriptor, an address or a process that
// there never is. Where filters look at an argument, it is the one that we pass.
struct Call {
  long number;
  long first = -1, second = 0, third = 0;
};

// System calls of this library, except those that the loader makes as well: a filter that kills
// those would have killed the program at its start.
constexpr Call kCalls[] = {
    {SYS_socket, AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0},
    {SYS_bind},
    {SYS_listen},
    {SYS_accept4},
    {SYS_connect},
    {SYS_getsockopt, -1, SOL_SOCKET, SO_PEERCRED},
    {SYS_setsockopt, -1, SOL_SOCKET, SO_RCVTIMEO},
    {SYS_sendto},
    {SYS_recvfrom},
    {SYS_shutdown},
    {SYS_ppoll, -1, 1},
    {SYS_fcntl, -1, F_DUPFD_CLOEXEC},
    {SYS_flock, -1, LOCK_SH | LOCK_NB},
    {SYS_fchmod},
    {SYS_fchmodat},
    {SYS_faccessat},
#ifdef SYS_faccessat2
    {SYS_faccessat2},
#endif
    {SYS_mkdirat},
    {SYS_unlinkat},
    {SYS_linkat},
    {SYS_renameat2},
    {SYS_readlinkat},
    {SYS_getdents64},
    {SYS_ftruncate},
    {SYS_fallocate},
    {SYS_write},
    {SYS_writev},
    {SYS_pread64},
    {SYS_clone3, 0},
    {SYS_prctl, PR_SET_NAME, -1},
    {SYS_lseek},
    {SYS_madvise},
    {SYS_rt_sigaction},
    {SYS_rt_sigprocmask},
    {SYS_rt_sigpending},
    {SYS_sigaltstack},
    {SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE},
    {SYS_sched_getaffinity},
    {SYS_sched_yield},
    {SYS_getcpu},
    {SYS_get_robust_list},
    {SYS_clock_nanosleep},
    {SYS_getpid},
    {SYS_getppid},
    {SYS_gettid},
    {SYS_geteuid},
#ifdef SYS_poll  // x86-64 has old names beside the new ones
    {SYS_access},
    {SYS_mkdir},
    {SYS_poll, -1, 1},
    {SYS_readlink},
    {SYS_unlink},
#endif
};

// `may_wait` is shared with the parent, whose waiting might be fatal too.
void try_all(std::span<const Call> calls, volatile int& may_wait) {
  const rlimit none{};
  ::setrlimit(RLIMIT_CORE, &none);
  // Nobody needs the core dump of a killed child.
  ::syscall(SYS_prctl, PR_SET_DUMPABLE, 0, 0, 0, 0);
  ::syscall(SYS_wait4, -1, 0, WNOHANG, 0);
  may_wait = 1;
  ::syscall(SYS_kill, ::syscall(SYS_getpid), 0);
  for (const Call& call : calls) {
    ::syscall(call.number, call.first, call.second, call.third, 0, 0, 0);
  }
}

bool is_child_killed(std::span<const Call> calls) {
  const KeepErrno keep;
  const Uncancelled uncancelled;
  void* const page =
      ::mmap(nullptr, sizeof(int), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (page == MAP_FAILED) return false;
  auto& may_wait = *static_cast<volatile int*>(page);
  // Not fork(), which runs handlers. The child sends no SIGCHLD, and wait() does not find it. It
  // has ended when we go on.
  const long child = ::syscall(SYS_clone, CLONE_VFORK, 0, 0, 0, 0);
  if (child == 0) {
    try_all(calls, may_wait);
    ::syscall(SYS_exit_group, 0);
  }
  bool killed = child > 0 && may_wait == 0;
  if (child > 0 && !killed) {
    int end = 0;
    pid_t ended = -1;
    do {
      ended = ::waitpid(static_cast<pid_t>(child), &end, __WALL);
    } while (ended < 0 && errno == EINTR);
    killed = ended == child && WIFSIGNALED(end);
  }
  ::munmap(page, sizeof(int));
  return killed;
}

bool is_filtered() {
  const Uncancelled uncancelled;
  const Descriptor file(::open("/proc/self/status", O_RDONLY | O_CLOEXEC));
  Filters filters;
  return file.is_open() && read_filters(file.number(), filters) &&
         filters.mode == SECCOMP_MODE_FILTER;
}

}  // namespace

bool is_filter_fatal() {
  static const bool kFatal = is_filtered() && is_child_killed(kCalls);
  return kFatal;
}

bool is_call_fatal(long number, long second) {
  const Call call{number, -1, second};
  return is_filtered() && is_child_killed({&call, 1});
}

void watch_confinement() {
  static const bool kOnce = [] {
    open_own();
    watcher.store(::getpid());
    const auto before_fork = [] { static_cast<void>(is_confined()); };
    const auto in_child = [] {
      watcher.store(confined.load() ? number_of_only_thread() : ::getpid());
      if (!watched.load() || confined.load()) return;
      open_own();
    };
    os::at_fork(ForkRank::kConfinement, {.before = before_fork, .in_child = in_child});
    return true;
  }();
  static_cast<void>(kOnce);
}

bool is_confined() noexcept {
  if (!watched.load() || confined.load()) return confined.load();
  Filters now;
  bool known = read(now);
  // A child of vfork closes its files, not ours.
  if (!known && !is_owned_by_this_process(watcher)) return true;
  if (!known && filters_are_seen.load()) {
    const KeptFile::Kept kept = status.keep();
    if (kept == KeptFile::Kept::later) return false;
    known = kept == KeptFile::Kept::yes && read(now);
  }
  if (known && now == before) return false;
  confined.store(true);
  return true;
}

void keep_watching() noexcept {
  if (watched.load() && !confined.load() && is_owned_by_this_process(watcher)) {
    static_cast<void>(status.keep());
  }
}

void see_filters(bool all) noexcept { filters_are_seen.store(all); }

FilterToCome::FilterToCome() noexcept : ours_(is_owned_by_this_process(watcher)) {}

void FilterToCome::is_installed() const noexcept {
  if (ours_) confined.store(true);
}

bool installs_filter(long number, long operation) noexcept {
  if (number == SYS_prctl) return operation == PR_SET_SECCOMP;
  return number == SYS_seccomp &&
         (operation == SECCOMP_SET_MODE_STRICT || operation == SECCOMP_SET_MODE_FILTER);
}

bool is_known_confined() noexcept { return confined.load(); }

pid_t own_process() noexcept { return is_known_confined() ? watcher.load() : ::getpid(); }

void Owner::prepare() noexcept {
  if (wiped_ == nullptr) wiped_ = new_wiped_on_fork<std::atomic<pid_t>>();
}

void Owner::take() noexcept { cell().store(own_process()); }

bool Owner::is_this_process() const noexcept {
  const pid_t now = cell().load();
  return now != 0 && now == own_process();
}

bool Owner::give_up() noexcept {
  if (cell().load() == 0) return false;
  pid_t self = own_process();
  return cell().compare_exchange_strong(self, 0);
}

}  // namespace corewise::os
