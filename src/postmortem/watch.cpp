#include "watch.h"

#include <signal.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <mutex>
#include <string_view>
#include <utility>

#include "../discover.h"
#include "../os/os.h"
#include "folder.h"
#include "report.h"
#include "scene.h"

namespace corewise::postmortem {
namespace {

constexpr std::array kDeadly = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT};

// What the program had before; written before ours is in place.
constinit std::array<struct sigaction, kDeadly.size()> programs{};
constinit std::atomic<const Scene*> scene{nullptr};
// The thread that writes; 0: none.
constinit std::atomic<pid_t> writer{0};
constinit std::atomic<bool> written{false};

std::mutex& watch_lock() {
  static auto* lock = [] {
    auto* made = new std::mutex;
    os::at_fork([] { watch_lock().lock(); }, [] { watch_lock().unlock(); },
                [] { watch_lock().unlock(); });
    return made;
  }();
  return *lock;
}

struct sigaction& program_of(int signal) {
  for (std::size_t i = 0; i < kDeadly.size(); ++i) {
    if (kDeadly[i] == signal) return programs[i];
  }
  return programs[0];
}

void report(int signal, const siginfo_t* info, const void* context) noexcept {
  const auto self = static_cast<pid_t>(::syscall(SYS_gettid));
  pid_t nobody = 0;
  if (writer.compare_exchange_strong(nobody, self)) {
    written.store(write_report(*scene.load(), signal, info, context));
    writer.store(0);
    return;
  }
  // A fault of ours while writing ends the process as it would have ended anyway.
  if (nobody == self) return;
  // Another thread died first, and its report counts: let it be finished, but not for ever.
  for (int i = 0; i < 100 && writer.load() != 0; ++i) {
    const timespec pause{0, 10'000'000};
    ::nanosleep(&pause, nullptr);
  }
}

bool is_pending(int signal) noexcept {
  sigset_t pending;
  return ::sigpending(&pending) == 0 && sigismember(&pending, signal) == 1;
}

// True if the program's handler came back and left the signal to nobody: it mended the fault.
bool program_mends(int signal, siginfo_t* info, void* context) noexcept {
  const struct sigaction& own = program_of(signal);
  sigset_t only;
  sigemptyset(&only);
  sigaddset(&only, signal);
  if ((own.sa_flags & SA_NODEFER) != 0) ::pthread_sigmask(SIG_UNBLOCK, &only, nullptr);
  if ((own.sa_flags & SA_SIGINFO) != 0) {
    own.sa_sigaction(signal, info, context);
  } else {
    own.sa_handler(signal);
  }
  struct sigaction now{};
  const bool still_ours = ::sigaction(signal, nullptr, &now) == 0 && now.sa_handler != SIG_DFL;
  return still_ours && !is_pending(signal);
}

void on_signal(int signal, siginfo_t* info, void* context) {
  const int before = errno;
  report(signal, info, context);
  const struct sigaction& own = program_of(signal);
  const bool handled =
      (own.sa_flags & SA_SIGINFO) != 0 || (own.sa_handler != SIG_DFL && own.sa_handler != SIG_IGN);
  const bool sent = info->si_code <= 0;
  if (handled) {
    if (program_mends(signal, info, context) && written.exchange(false))
      remove_report(*scene.load());
  } else if (own.sa_handler == SIG_IGN && sent) {
    if (written.exchange(false)) remove_report(*scene.load());
  } else {
    // The instruction that failed is tried again when we return, and then ends the process; what
    // was sent must be sent again.
    struct sigaction deadly{};
    deadly.sa_handler = SIG_DFL;
    ::sigaction(signal, &deadly, nullptr);
    if (sent) ::raise(signal);
  }
  errno = before;
}

// A program that left its fault's handler by longjmp goes on, and then ends well.
[[gnu::destructor]] void end() {
  if (written.exchange(false)) remove_report(*scene.load());
}

}  // namespace

std::optional<Error> watch() {
  const char* wish = std::getenv("COREWISE_POSTMORTEM");  // NOLINT(concurrency-mt-unsafe)
  if (wish != nullptr && std::string_view(wish) == "off") return std::nullopt;
  const std::lock_guard lock(watch_lock());
  if (scene.load() != nullptr) return std::nullopt;
  auto folder = make_death_folder();
  if (!folder) return folder.error();
  scene.store(draw_scene({os::own_command(), *std::move(folder), {}}));
  for (const int signal : kDeadly) {
    struct sigaction ours{};
    ours.sa_sigaction = on_signal;
    ours.sa_flags = SA_SIGINFO | SA_ONSTACK;
    ::sigaction(signal, nullptr, &program_of(signal));
    ::sigaction(signal, &ours, nullptr);
  }
  return std::nullopt;
}

void look() {
  std::mutex& mutex = watch_lock();  // in any case: callers settle its place at forks
  const Scene* known = scene.load();
  if (known == nullptr || known->pools.size() == pool_count()) return;
  const std::lock_guard lock(mutex);
  known = scene.load();
  if (known->pools.size() != pool_count()) scene.store(draw_scene(*known));
}

}  // namespace corewise::postmortem
