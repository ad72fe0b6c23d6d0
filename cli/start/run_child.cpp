// The child stays in our process group, so that the terminal's own signals (Ctrl-C, Ctrl-\, Ctrl-Z)
// reach it without us: we do not send those again. We forward a signal that is sent to us alone.
// SIGKILL cannot be forwarded: the kernel kills the child when we die.
#include "run_child.h"

#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <optional>

#include "shell/kept_children.h"

namespace corewise::cli {
namespace {

constexpr int kForwarded[] = {SIGINT,  SIGTERM, SIGHUP,  SIGQUIT, SIGUSR1,
                              SIGUSR2, SIGTSTP, SIGCONT, SIGALRM, SIGVTALRM,
                              SIGPROF, SIGPOLL, SIGPWR,  SIGPIPE, SIGSTKFLT};

sigset_t watched() {
  sigset_t set;
  ::sigemptyset(&set);
  ::sigaddset(&set, SIGCHLD);
  for (const int signal : kForwarded) ::sigaddset(&set, signal);
  for (int signal = SIGRTMIN; signal <= SIGRTMAX; ++signal) ::sigaddset(&set, signal);
  return set;
}

// The status of the child if it has ended.
std::optional<int> ended(pid_t child) {
  int status = 0;
  while (::waitpid(child, &status, WNOHANG | WUNTRACED) == child) {
    if (!WIFSTOPPED(status)) return status;
    // The child's shell must see us stopped; once it continues us, we continue the child. SIGSTOP
    // comes from somebody who means the child and will continue it.
    if (WSTOPSIG(status) == SIGSTOP) continue;
    ::kill(::getpid(), SIGSTOP);
    ::kill(child, SIGCONT);
  }
  return std::nullopt;
}

}  // namespace

int wait_for_child(const std::function<int()>& become) {
  const sigset_t signals = watched();
  sigset_t before;
  ::sigprocmask(SIG_BLOCK, &signals, &before);
  const KeptChildren children;
  const pid_t self = ::getpid();
  const pid_t child = ::fork();
  if (child < 0) return -errno;
  if (child == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != self) ::raise(SIGKILL);
    children.restore();
    ::sigprocmask(SIG_SETMASK, &before, nullptr);
    ::_exit(become());
  }
  while (true) {
    if (const auto status = ended(child)) return *status;
    siginfo_t info{};
    const int signal = ::sigwaitinfo(&signals, &info);
    if (signal <= 0 || signal == SIGCHLD || info.si_code == SI_KERNEL) continue;
    ::kill(child, signal);
  }
}

int end_like(int status) {
  if (!WIFSIGNALED(status)) return WEXITSTATUS(status);
  // The core dump to look at is the child's, not ours.
  ::prctl(PR_SET_DUMPABLE, 0);
  const int signal = WTERMSIG(status);
  ::signal(signal, SIG_DFL);
  sigset_t only;
  ::sigemptyset(&only);
  ::sigaddset(&only, signal);
  ::raise(signal);
  ::sigprocmask(SIG_UNBLOCK, &only, nullptr);
  return 128 + signal;
}

}  // namespace corewise::cli
