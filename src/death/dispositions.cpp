#include "dispositions.h"

#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <vector>

#include "base/blocked_signals.h"
#include "base/text.h"
#include "govern/patch/hook.h"
#include "govern/patch/loads.h"
#include "os/confined.h"
#include "os/fork.h"
#include "os/os.h"
#include "os/patch.h"

namespace corewise::death {
namespace {

constexpr std::array kDeadly = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT};

// A handler may read while another thread writes, so a published value is not overwritten before
// this many others were.
constexpr unsigned kHistory = 32;

// Where the kernel's action has flags of ours; all others are those of the program.
constexpr int kOurFlags = static_cast<int>(SA_SIGINFO | SA_ONSTACK | SA_NODEFER | SA_RESETHAND);

struct ActionsOfProgram {
  std::array<struct sigaction, kHistory> values{};
  std::atomic<unsigned> latest{0};
};

constinit std::array<ActionsOfProgram, kDeadly.size()> programs{};
constinit std::atomic<Handler*> our_handler{nullptr};
constinit std::atomic<OnEnd*> on_end{nullptr};
// The process whose kernel actions and memory these are: a vfork child has its parent's memory.
constinit std::atomic<pid_t> owner{0};
constinit std::atomic_flag changing{};
// What siginterrupt() has been told: a bit for each signal that interrupts system calls for good.
constinit std::atomic<unsigned> interrupting{0};
using SigInterrupt = int(int signal, int interrupt);
constinit SigInterrupt* own_siginterrupt = nullptr;

ActionsOfProgram* find(int signal) noexcept {
  for (std::size_t i = 0; i < kDeadly.size(); ++i) {
    if (kDeadly[i] == signal) return &programs[i];
  }
  return nullptr;
}

// Signals are blocked, so that no handler in this thread waits for the thread itself.
class Change {
 public:
  Change() noexcept {
    while (changing.test_and_set(std::memory_order_acquire)) {
    }
  }
  Change(const Change&) = delete;
  Change& operator=(const Change&) = delete;
  // What was pending comes when the signals are unblocked, and its handler may leave by unwinding.
  // NOLINTNEXTLINE(bugprone-unsafe-to-allow-exceptions)
  ~Change() noexcept(false) { changing.clear(std::memory_order_release); }

 private:
  BlockedSignals blocked_;
};

void put(ActionsOfProgram& program, const struct sigaction& value) noexcept {
  const unsigned next = (program.latest.load(std::memory_order_relaxed) + 1) % kHistory;
  program.values[next] = value;
  program.latest.store(next, std::memory_order_release);
}

const struct sigaction& latest(const ActionsOfProgram& program) noexcept {
  return program.values[program.latest.load(std::memory_order_acquire)];
}

bool is_ours(const struct sigaction& kernel) noexcept {
  return (kernel.sa_flags & SA_SIGINFO) != 0 && kernel.sa_sigaction == our_handler.load();
}

// As for the kernel, SA_SIGINFO makes no difference.
bool is_ignored(const struct sigaction& action) noexcept { return action.sa_handler == SIG_IGN; }
bool is_default(const struct sigaction& action) noexcept { return action.sa_handler == SIG_DFL; }

// What the kernel must have if the program has this.
struct sigaction kernels_for(const struct sigaction& program) noexcept {
  if (is_ignored(program)) return program;
  struct sigaction kernel = program;
  kernel.sa_sigaction = our_handler.load();
  kernel.sa_flags |= SA_SIGINFO;
  kernel.sa_flags &= ~static_cast<int>(SA_RESETHAND);
  if (is_default(program)) {
    kernel.sa_flags |= SA_ONSTACK;
    kernel.sa_flags &= ~static_cast<int>(SA_NODEFER);
  }
  return kernel;
}

struct sigaction with_flags(struct sigaction action, const struct sigaction& others,
                            int which) noexcept {
  action.sa_flags = (action.sa_flags & ~which) | (others.sa_flags & which);
  return action;
}

// What the program would read back: the kernel and the C library drop some of what it set, and add
// to it.
struct sigaction as_kept(const struct sigaction& wanted, const struct sigaction& kernel) noexcept {
  struct sigaction kept = with_flags(kernel, wanted, is_ignored(wanted) ? 0 : kOurFlags);
  kept.sa_sigaction = wanted.sa_sigaction;
  return kept;
}

// What the program sees if the kernel has our handler. siginterrupt() changes the kernel's flags.
struct sigaction as_program_sees(const ActionsOfProgram& program,
                                 const struct sigaction& kernel) noexcept {
  return is_ours(kernel) ? with_flags(latest(program), kernel, SA_RESTART) : kernel;
}

// For a child of vfork, whose memory is its parent's, or of a bare clone(): its actions are in the
// kernel alone.
int change_beside(int signal, const ActionsOfProgram& program, const struct sigaction* wanted,
                  struct sigaction* old) noexcept {
  const int result = ::sigaction(signal, wanted, old);
  if (result == 0 && old != nullptr) *old = as_program_sees(program, *old);
  return result;
}

int hooked_sigaction(int signal, const struct sigaction* wanted, struct sigaction* old) {
  ActionsOfProgram* const program = find(signal);
  if (program == nullptr) return ::sigaction(signal, wanted, old);
  if (!os::is_owned_by_this_process(owner)) return change_beside(signal, *program, wanted, old);
  const Change change;
  struct sigaction kernel{};
  if (::sigaction(signal, nullptr, &kernel) != 0) return -1;
  const struct sigaction before = as_program_sees(*program, kernel);
  const bool hidden = is_ignored(kernel) && is_ignored(latest(*program));
  if (!is_ours(kernel) && !hidden) return ::sigaction(signal, wanted, old);
  if (wanted != nullptr && !is_ours(*wanted)) {
    const struct sigaction next = kernels_for(*wanted);
    // Published first: the kernel may call our handler at once.
    put(*program, *wanted);
    if (::sigaction(signal, &next, nullptr) != 0) {
      put(*program, before);
      return -1;
    }
    if (::sigaction(signal, nullptr, &kernel) == 0) put(*program, as_kept(*wanted, kernel));
  }
  if (old != nullptr) *old = before;
  return 0;
}

sighandler_t set_handler(int signal, sighandler_t handler, int flags) {
  struct sigaction wanted{};
  struct sigaction old{};
  wanted.sa_handler = handler;
  wanted.sa_flags = flags;
  if ((flags & SA_NODEFER) == 0) ::sigaddset(&wanted.sa_mask, signal);
  return hooked_sigaction(signal, &wanted, &old) == 0 ? old.sa_handler : SIG_ERR;
}

sighandler_t hooked_signal(int signal, sighandler_t handler) {
  if (find(signal) == nullptr || handler == SIG_ERR) return ::signal(signal, handler);
  const bool interrupts = (interrupting.load() & 1U << signal) != 0;
  return set_handler(signal, handler, interrupts ? 0 : SA_RESTART);
}

int hooked_siginterrupt(int signal, int interrupt) {
  if (find(signal) == nullptr) return own_siginterrupt(signal, interrupt);
  if (interrupt != 0) {
    interrupting.fetch_or(1U << signal);
  } else {
    interrupting.fetch_and(~(1U << signal));
  }
  if (!os::is_owned_by_this_process(owner)) return own_siginterrupt(signal, interrupt);
  const Change change;
  return own_siginterrupt(signal, interrupt);
}

sighandler_t hooked_sysv_signal(int signal, sighandler_t handler) {
  if (find(signal) == nullptr || handler == SIG_ERR) return ::sysv_signal(signal, handler);
  return set_handler(signal, handler, static_cast<int>(SA_RESETHAND | SA_NODEFER | SA_INTERRUPT));
}

// The C library's sigset(), with our sigaction: that is what X/Open describes.
sighandler_t hooked_sigset(int signal, sighandler_t handler) {
  sigset_t one;
  sigset_t blocked;
  ::sigemptyset(&one);
  if (handler == SIG_ERR || ::sigaddset(&one, signal) != 0) {
    errno = EINVAL;
    return SIG_ERR;
  }
  struct sigaction wanted{};
  struct sigaction old{};
  wanted.sa_handler = handler;
  const bool holds = handler == SIG_HOLD;
  if (hooked_sigaction(signal, holds ? nullptr : &wanted, &old) != 0) return SIG_ERR;
  ::pthread_sigmask(holds ? SIG_BLOCK : SIG_UNBLOCK, &one, &blocked);
  return ::sigismember(&blocked, signal) == 1 ? SIG_HOLD : old.sa_handler;
}

// Whether nothing in the program handles the signal, so that it ends the process.
bool would_end(int signal) noexcept {
  const ActionsOfProgram* const program = find(signal);
  struct sigaction kernel{};
  if (!os::is_owned_by_this_process(owner) || ::sigaction(signal, nullptr, &kernel) != 0)
    return false;
  return program != nullptr ? is_ours(kernel) && is_default(latest(*program)) : is_default(kernel);
}

void tell_end(int signal, const MachineState& caller) noexcept {
  on_end.load()(signal, caller);
  struct sigaction none{};
  if (find(signal) != nullptr) ::sigaction(signal, &none, nullptr);
}

// The headers say that these throw nothing, but a handler of the program's may leave through them,
// by an exception or pthread_exit(). So the compiler must not see whom we call, and neither of the
// two functions below may be noexcept, or have anything to clean up there.
using Raise = int(int);
using Abort = void();
constinit Raise* volatile raise_of_c = ::raise;
constinit Abort* volatile abort_of_c = ::abort;

[[noreturn]] void hooked_abort() {
  const MachineState caller{reinterpret_cast<std::uintptr_t>(__builtin_return_address(0)),
                            reinterpret_cast<std::uintptr_t>(__builtin_frame_address(0))};
  if (would_end(SIGABRT)) tell_end(SIGABRT, caller);
  abort_of_c();
  __builtin_unreachable();
}

bool is_blocked(int signal) noexcept {
  sigset_t blocked;
  return ::pthread_sigmask(SIG_SETMASK, nullptr, &blocked) == 0 &&
         ::sigismember(&blocked, signal) == 1;
}

int hooked_raise(int signal) {
  const MachineState caller{reinterpret_cast<std::uintptr_t>(__builtin_return_address(0)),
                            reinterpret_cast<std::uintptr_t>(__builtin_frame_address(0))};
  const bool watched = signal == SIGTERM || find(signal) != nullptr;
  if (watched && would_end(signal) && !is_blocked(signal)) tell_end(signal, caller);
  return raise_of_c(signal);
}

// Not noexcept: exit() runs the handlers of atexit(), which may leave it in ways of their own.
[[noreturn]] void hooked_exit(int code) {
  const MachineState caller{reinterpret_cast<std::uintptr_t>(__builtin_return_address(0)),
                            reinterpret_cast<std::uintptr_t>(__builtin_frame_address(0))};
  if (code != 0 && os::is_owned_by_this_process(owner)) on_end.load()(kExit, caller);
  std::exit(code);  // NOLINT(concurrency-mt-unsafe): as its caller would have
}

// If a sanitizer or a JVM's libjsig keeps handlers of its own, it must hear of them.
bool is_the_c_librarys(void* function) {
  const std::string file = function != nullptr ? os::file_of(function) : "";
  return file_name(file).starts_with("libc.so");
}

template <class Function>
void request(std::vector<govern::GotRequest>& all, const char* symbol, Function* replacement,
             SigInterrupt** own = nullptr) {
  void* const original = os::global_symbol(symbol);
  if (!is_the_c_librarys(original)) return;
  if (own != nullptr) *own = reinterpret_cast<SigInterrupt*>(original);
  all.push_back(govern::got_request(symbol, replacement, -1, original));
}

govern::GotEntries& entries() {
  static auto* const kEntries = [] {
    std::vector<govern::GotRequest> all;
    request(all, "sigaction", hooked_sigaction);
    request(all, "__sigaction", hooked_sigaction);
    request(all, "signal", hooked_signal);
    request(all, "bsd_signal", hooked_signal);
    request(all, "ssignal", hooked_signal);
    request(all, "sysv_signal", hooked_sysv_signal);
    request(all, "__sysv_signal", hooked_sysv_signal);
    request(all, "sigset", hooked_sigset);
    request(all, "siginterrupt", hooked_siginterrupt, &own_siginterrupt);
    // Also where the program asks for them by name.
    govern::loads::substitute(all);
    request(all, "abort", hooked_abort);
    request(all, "raise", hooked_raise);
    request(all, "exit", hooked_exit);
    return new govern::GotEntries(std::move(all));
  }();
  return *kEntries;
}

}  // namespace

void take_over(Handler* ours, OnEnd* ending) {
  const auto in_child = [] {
    owner.store(os::own_process());
    changing.clear();
  };
  os::at_fork(os::ForkRank::kDispositions, {.in_child = in_child});
  on_end.store(ending);
  our_handler.store(ours);
  owner.store(::getpid());
  for (std::size_t i = 0; i < kDeadly.size(); ++i) {
    struct sigaction program{};
    ::sigaction(kDeadly[i], nullptr, &program);
    put(programs[i], program);
    const struct sigaction kernel = kernels_for(program);
    if (!is_ignored(program)) ::sigaction(kDeadly[i], &kernel, nullptr);
  }
  hook_new_modules();
}

void hook_new_modules() {
  // The thread that is at it may wait for the loader, which our caller may hold. A child that was
  // forked meanwhile leaves its GOT entries as they are: they may be half changed.
  static constinit std::atomic_flag busy{};
  if (our_handler.load() == nullptr || busy.test_and_set()) return;
  static_cast<void>(entries().rewrite());
  busy.clear();
}

struct sigaction program_of(int signal) noexcept {
  struct sigaction none{};
  const ActionsOfProgram* const program = find(signal);
  return program != nullptr ? latest(*program) : none;
}

void reset_program(int signal) noexcept {
  struct sigaction next = program_of(signal);
  next.sa_handler = SIG_DFL;
  hooked_sigaction(signal, &next, nullptr);
}

bool is_deadly(int signal) noexcept {
  struct sigaction kernel{};
  return ::sigaction(signal, nullptr, &kernel) == 0 && is_default(kernel);
}

}  // namespace corewise::death
