#include "death_watch.h"

#include <signal.h>
#include <sys/uio.h>
#include <ucontext.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <mutex>
#include <string>
#include <utility>

#include "base/clock.h"
#include "base/keep_errno.h"
#include "dispositions.h"
#include "folder.h"
#include "govern/patch/loads.h"
#include "os/confined.h"
#include "os/fork.h"
#include "os/os.h"
#include "os/threads.h"
#include "pools/discover.h"
#include "report.h"
#include "scene.h"

namespace corewise::death {
namespace {

constinit std::atomic<const Scene*> scene{nullptr};
// The thread that writes; 0: none; kWritten and a process: its report is written, and it dies.
constinit std::atomic<std::uint32_t> writer{0};
constexpr std::uint32_t kWritten = std::uint32_t{1} << 31U;
// A program with a thousand runnable threads has been seen to take two seconds for its report.
constexpr int kLongestWait_ms = 15'000;
// A library has called exit(): a fault while the process ends is not the cause of its end.
constinit std::atomic<bool> exiting{false};

// The fault that a handler of the program is dealing with, in case it decides to die: by then the
// thread is somewhere in that handler. With several threads the latest, and only a hint.
struct Handled {
  std::atomic<pid_t> thread{0};
  DeathPoint point;
  // On the handler's stack while it runs; the first word of its frame is overwritten afterwards.
  std::atomic<const std::uint64_t*> mark{nullptr};
  std::uint64_t value = 0;
};
constinit Handled handled{};
constinit std::atomic<std::uint64_t> marks{0x9e3779b97f4a7c15};

// Whether this process is a notebook's kernel, and not one that a kernel started: that has the same
// variables.
bool is_notebook_kernel(const std::string& program) {
  if (own_notebook().empty()) return false;
  return program.find("ipykernel_launcher") != program.npos ||
         os::variable("JPY_PARENT_PID") == std::to_string(::getppid());
}

os::ForkLock& watch_lock() { return os::fork_lock(os::ForkRank::kDeathWatch); }

// Where the fault was, if this thread is in a handler of the program's for it.
const DeathPoint* point_handled(pid_t self) noexcept {
  if (handled.thread.load() != self) return nullptr;
  std::uint64_t value = 0;
  const iovec here{&value, sizeof value};
  const iovec there{const_cast<std::uint64_t*>(handled.mark.load()), sizeof value};
  const bool read = ::process_vm_readv(::getpid(), &here, 1, &there, 1, 0) == sizeof value;
  return read && value == handled.value ? &handled.point : nullptr;
}

DeathPoint point_of(const siginfo_t* info, const void* context) noexcept {
  DeathPoint point{machine_state(context), std::nullopt};
  point.sent = info->si_code <= 0 && info->si_signo != SIGABRT && info->si_signo != SIGTERM;
  const bool has_address = info->si_signo == SIGSEGV || info->si_signo == SIGBUS;
  if (info->si_code > 0 && has_address) {
    point.address = reinterpret_cast<std::uintptr_t>(info->si_addr);
  }
  return point;
}

// The report is written on a stack of its own: the thread's may be an alternate one of a few KiB,
// with a handler of the program's on it already. Only the writer uses it.
struct Writing {
  alignas(64) std::array<std::byte, std::size_t{48} << 10> stack{};
  ucontext_t here{};
  ucontext_t back{};
  int signal = 0;
  DeathPoint point;
};
constinit Writing writing{};

void write_there() {
  const Scene& now = *scene.load();
  // A program may well end itself by SIGTERM, for one at the end of a handler of its own.
  if (writing.signal == SIGTERM && !is_ended_by_a_pool(now, writing.point.state)) return;
  write_report(now, writing.signal, writing.point);
}

// Another thread died first, and its report counts: lets it finish.
void wait_for(std::uint32_t other) noexcept {
  const std::uint64_t end = now_ms() + kLongestWait_ms;
  for (std::uint64_t now = now_ms(); now < end && writer.load() == other; now = now_ms()) {
    os::wait_at(writer, other, static_cast<int>(end - now));
  }
}

// `is_certain`: the process dies as soon as we return. Its report must stay: a thread that comes
// later must not begin one, whose end the process would not see.
void report(int signal, const DeathPoint& here, bool sent, bool is_certain = false) noexcept {
  // A confined program would die of our system calls, and its death would look like that.
  if (exiting.load() || os::is_confined()) return;
  const auto self = static_cast<std::uint32_t>(os::own_thread_id());
  const std::uint32_t written = kWritten | static_cast<std::uint32_t>(::getpid());
  std::uint32_t now = writer.load();
  // A fault of ours while writing ends the process as it would have ended anyway.
  if (now == self || now == written) return;
  // A child of vfork may have written its own.
  const bool is_free = now == 0 || (now & kWritten) != 0;
  if (!is_free || !writer.compare_exchange_strong(now, self)) {
    if ((now & kWritten) == 0) wait_for(now);
    return;
  }
  const DeathPoint* const earlier = sent ? point_handled(static_cast<pid_t>(self)) : nullptr;
  writing.signal = signal;
  writing.point = earlier != nullptr ? *earlier : here;
  if (::getcontext(&writing.here) == 0) {
    writing.here.uc_stack.ss_sp = writing.stack.data();
    writing.here.uc_stack.ss_size = writing.stack.size();
    writing.here.uc_link = &writing.back;
    ::makecontext(&writing.here, write_there, 0);
    ::swapcontext(&writing.back, &writing.here);
  }
  writer.store(is_certain ? written : 0);
  os::wake_all(writer);
}

// Whether the signal comes as soon as the handler returns.
bool is_coming(int signal, const void* context) noexcept {
  sigset_t pending;
  return ::sigpending(&pending) == 0 && ::sigismember(&pending, signal) == 1 &&
         ::sigismember(&static_cast<const ucontext_t*>(context)->uc_sigmask, signal) == 0;
}

// When the handler returns, the process dies as it would have died without us. A fault would come
// again by itself, but it is not told from a signal with the same code (F_SETSIG, for one), which
// would not. And the thread may have let the signal through only while it waits, as in ppoll().
void send_again(int signal, siginfo_t* info, void* context) noexcept {
  const bool sent = info->si_code <= 0;
  sigset_t& mask = static_cast<ucontext_t*>(context)->uc_sigmask;
  if (!sent && os::is_known_confined()) {
    // A fault whose signal is blocked ends a process, and takes no system call.
    ::sigaddset(&mask, signal);
    return;
  }
  struct sigaction deadly{};
  deadly.sa_handler = SIG_DFL;
  ::sigaction(signal, &deadly, nullptr);
  // A confined program may die of a system call that is not its own.
  const bool queued = !os::is_confined() && os::queue_to_itself(*info);
  if (sent && !queued) ::raise(signal);
  ::sigdelset(&mask, signal);
}

// The program's handler may leave by an exception, pthread_exit() or a cancellation: nothing from
// here up to on_signal() may be noexcept, or need cleaning up. It may also set errno.
#if defined(__clang__)
[[clang::no_sanitize("function")]]
#endif
void call_program(const struct sigaction& own, int signal, siginfo_t* info, void* context) {
  volatile std::uint64_t mark = marks.fetch_add(2);
  if (info->si_code > 0 && !os::is_known_confined()) {
    handled.thread.store(0);
    handled.point = point_of(info, context);
    handled.value = mark;
    handled.mark.store(const_cast<const std::uint64_t*>(&mark));
    handled.thread.store(os::own_thread_id());
  }
  if ((own.sa_flags & static_cast<int>(SA_RESETHAND)) != 0) reset_program(signal);
  // Without SA_SIGINFO too, some handlers look at all that the kernel passes.
  own.sa_sigaction(signal, info, context);
  mark = 0;
}

void on_signal(int signal, siginfo_t* info, void* context) {
  const struct sigaction own = program_of(signal);
  const bool sent = info->si_code <= 0;
  if (own.sa_handler != SIG_DFL && own.sa_handler != SIG_IGN) {
    // A program that handles its faults, as Java does by the thousand, never comes to a report. If
    // its handler gives up, the signal comes again and finds no handler.
    call_program(own, signal, info, context);
    const KeepErrno keep;
    if (!os::is_known_confined() && is_deadly(signal) && (!sent || is_coming(signal, context)))
      report(signal, point_of(info, context), sent);
  } else if (own.sa_handler != SIG_IGN) {
    const KeepErrno keep;
    report(signal, point_of(info, context), sent, !sent);
    send_again(signal, info, context);
  }
}

void on_end(int signal, const MachineState& caller) {
  // Programs end by exit() all the time.
  if (signal == kExit && !is_exit_of_a_pool(*scene.load(), caller)) return;
  report(signal, {caller, std::nullopt}, true);
  if (signal == kExit) exiting.store(true);
}

// Draws the scene anew if pools have come since.
bool follow_load(bool asked) {
  hook_new_modules();
  const Scene* known = scene.load();
  if (known == nullptr || known->pools.size() == pool_count()) return true;
  std::unique_lock lock(watch_lock(), std::defer_lock);
  if (asked) {
    lock.lock();
  } else if (!lock.try_lock()) {
    return false;
  }
  known = scene.load();
  if (known->pools.size() != pool_count()) scene.store(draw_scene(*known));
  return true;
}

}  // namespace

std::optional<Error> watch_death() {
  if (os::variable("COREWISE_POSTMORTEM") == "off") return std::nullopt;
  const std::lock_guard lock(watch_lock());
  if (scene.load() != nullptr) return std::nullopt;
  auto folders = death_folders();
  if (!folders) return folders.error();
  remove_old_reports(*folders);
  std::string program = os::own_command();
  const int kernel = is_notebook_kernel(program) ? ::getpid() : 0;
  scene.store(
      draw_scene({std::move(program), own_notebook(), kernel, *std::move(folders), {}, nullptr}));
  // A thread that the child does not have writes the parent's report.
  os::at_fork(os::ForkRank::kDeathWatch, {.in_child = [] { writer.store(0); }});
  take_over(on_signal, on_end);
  govern::loads::set(govern::loads::Stage::kDeathWatch, follow_load);
  return std::nullopt;
}

}  // namespace corewise::death
