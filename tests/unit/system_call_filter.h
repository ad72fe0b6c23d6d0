// What a program does that confines itself. Only in a child: a filter is for good.
#pragma once

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>

namespace corewise::test {

using Syscall = long(long, long, long, long, long, long, long);

// A filter that refuses (EPERM) this one system call. `call` installs it: syscall(), or what takes
// its place. Returns its result.
inline long refuse(long number, unsigned long flags, Syscall* call) {
  ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  std::array<sock_filter, 4> code = {
      sock_filter BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0),
      sock_filter BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<unsigned>(number), 0, 1),
      sock_filter BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
      sock_filter BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
  const sock_fprog program = {code.size(), code.data()};
  return call(SYS_seccomp, SECCOMP_SET_MODE_FILTER, static_cast<long>(flags),
              reinterpret_cast<long>(&program), 0, 0, 0);
}

// The exit code of a child that does this.
template <class Do>
int in_child(const Do& something) {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(something());
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

}  // namespace corewise::test
