#include "captured_run.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>

#include "shell/kept_children.h"

namespace corewise::cli {
namespace {

using Clock = std::chrono::steady_clock;
using Until = std::optional<Clock::time_point>;

// A file in memory, not a pipe: a process that the program leaves running may keep it open, and the
// reader of a pipe would wait for that process.
class Sink {
 public:
  Sink() {
    const int made = ::memfd_create("corewise-output", MFD_CLOEXEC);
    // Above the descriptors of a child's standard streams, even if we started without our own.
    fd_ = ::fcntl(made, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    if (made >= 0) ::close(made);
  }
  Sink(const Sink&) = delete;
  Sink& operator=(const Sink&) = delete;
  ~Sink() {
    if (fd_ >= 0) ::close(fd_);
  }

  int fd() const { return fd_; }
  std::string text() const {
    std::string all;
    std::array<char, 65536> chunk;
    while (true) {
      const ssize_t n = ::pread(fd_, chunk.data(), chunk.size(), static_cast<off_t>(all.size()));
      if (n <= 0) return all;
      all.append(chunk.data(), static_cast<std::size_t>(n));
    }
  }

 private:
  int fd_ = -1;
};

// While one lives, the signals that would end us are blocked; next() takes them.
class SignalsHeld {
 public:
  SignalsHeld() {
    ::sigemptyset(&held_);
    for (const int signal : {SIGCHLD, SIGINT, SIGTERM, SIGHUP, SIGQUIT})
      ::sigaddset(&held_, signal);
    ::sigprocmask(SIG_BLOCK, &held_, &before_);
  }
  SignalsHeld(const SignalsHeld&) = delete;
  SignalsHeld& operator=(const SignalsHeld&) = delete;
  ~SignalsHeld() { restore(); }

  void restore() const {
    children_.restore();
    ::sigprocmask(SIG_SETMASK, &before_, nullptr);
  }
  // The next signal, which may be SIGCHLD; 0 if none arrives in time.
  int next(Clock::duration most) const {
    const auto ns = std::chrono::duration_cast<std::chrono::nanoseconds>(most).count();
    const timespec wait{static_cast<time_t>(ns / 1'000'000'000),
                        static_cast<long>(ns % 1'000'000'000)};
    return std::max(0, ::sigtimedwait(&held_, nullptr, &wait));
  }

 private:
  sigset_t held_{};
  sigset_t before_{};
  KeptChildren children_;
};

// Leaves the child a zombie, so that the kernel does not reuse the id of its group yet.
bool has_ended(pid_t child) {
  siginfo_t info{};
  return ::waitid(P_PID, static_cast<id_t>(child), &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
         info.si_pid == child;
}

void wait_for(pid_t child, Until until, const SignalsHeld& signals, Captured& captured) {
  while (!has_ended(child)) {
    Clock::duration most = std::chrono::seconds(1);
    if (until) most = std::min(most, *until - Clock::now());
    if (most <= Clock::duration::zero()) {
      captured.timed_out = true;
      return;
    }
    const int signal = signals.next(most);
    if (signal != 0 && signal != SIGCHLD) {
      captured.interrupted = signal;
      return;
    }
  }
}

[[noreturn]] void be_child(const std::function<int()>& become, const Sink& out, const Sink& err,
                           const SignalsHeld& signals) {
  ::setpgid(0, 0);
  const int nothing = ::open("/dev/null", O_RDONLY);
  if (nothing > STDIN_FILENO) {
    ::dup2(nothing, STDIN_FILENO);
    ::close(nothing);
  }
  ::dup2(out.fd(), STDOUT_FILENO);
  ::dup2(err.fd(), STDERR_FILENO);
  signals.restore();
  ::_exit(become());
}

}  // namespace

Result<Captured> run_captured(const std::function<int()>& become, std::optional<double> time,
                              const std::function<void()>& ended) {
  const Sink out;
  const Sink err;
  if (out.fd() < 0 || err.fd() < 0) {
    return Error{CW_IO_ERROR, fmt::format("cannot keep its output: {}", std::strerror(errno))};
  }
  const SignalsHeld signals;
  const auto begin = Clock::now();
  const pid_t child = ::fork();
  if (child < 0) {
    return Error{CW_IO_ERROR, fmt::format("cannot start a process: {}", std::strerror(errno))};
  }
  if (child == 0) be_child(become, out, err, signals);
  ::setpgid(child, child);  // in parent and child: whichever is first
  Captured captured;
  Until until;
  if (time) {
    until =
        begin + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(*time));
  }
  wait_for(child, until, signals, captured);
  captured.seconds = std::chrono::duration<double>(Clock::now() - begin).count();
  if (captured.timed_out || captured.interrupted != 0) ::kill(-child, SIGKILL);
  ended();
  ::kill(-child, SIGKILL);
  while (::waitpid(child, &captured.status, 0) < 0 && errno == EINTR) {
  }
  captured.out = out.text();
  captured.err = err.text();
  return captured;
}

}  // namespace corewise::cli
