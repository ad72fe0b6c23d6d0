#include "identity.h"

#include <sched.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <exception>
#include <thread>

#include "control/server.h"
#include "os/uncancelled.h"

namespace corewise::agent {
namespace {

// The C library's functions, which a preloaded library may hide.
struct {
  decltype(&::setuid) setuid;
  decltype(&::seteuid) seteuid;
  decltype(&::setreuid) setreuid;
  decltype(&::setresuid) setresuid;
  decltype(&::unshare) unshare;
  decltype(&::setns) setns;
} constinit own{};

template <class Call>
int change_user(uid_t user, Call call) {
  const os::Uncancelled uncancelled;
  const bool had_socket = control::leave_for_other_user(user);
  const int result = call();
  const int reason = errno;
  try {
    if (had_socket) control::return_as_other_user();
  } catch (const std::exception&) {
    errno = reason;  // out of memory: it goes on without a socket
    return result;
  }
  errno = reason;
  return result;
}

int hooked_setuid(uid_t user) {
  return change_user(user, [&] { return own.setuid(user); });
}
int hooked_seteuid(uid_t user) {
  return change_user(user, [&] { return own.seteuid(user); });
}
int hooked_setreuid(uid_t real, uid_t effective) {
  return change_user(effective, [&] { return own.setreuid(real, effective); });
}
int hooked_setresuid(uid_t real, uid_t effective, uid_t saved) {
  return change_user(effective, [&] { return own.setresuid(real, effective, saved); });
}

// Whether the kernel refused because a process with several threads asked (namespaces(7)).
bool are_threads_refused() noexcept { return errno == EINVAL || errno == EUSERS; }

// If the kernel refuses, we end our thread and ask again. A process that got in stays without a
// socket: it may be another user there, with other folders.
template <class Call>
int enter(Call call) {
  const int first = call();
  if (first == 0 || !are_threads_refused()) return first;
  const os::Uncancelled uncancelled;
  const int reason = errno;
  bool paused = false;
  try {
    paused = control::pause();
  } catch (const std::exception&) {
    paused = false;  // out of memory: the kernel's answer stands
  }
  errno = reason;
  if (!paused) return first;
  int result = call();
  // The kernel counts a thread that has ended for a moment more.
  constexpr int kMostTries = 200;
  for (int i = 0; i < kMostTries && result != 0 && are_threads_refused(); ++i) {
    std::this_thread::sleep_for(std::chrono::microseconds(50));
    result = call();
  }
  if (result == 0) return 0;
  const int last = errno;
  try {
    control::resume();
  } catch (const std::exception&) {
    errno = last;  // out of memory: it goes on without a socket
    return result;
  }
  errno = last;
  return result;
}

int hooked_unshare(int what) {
  return enter([&] { return own.unshare(what); });
}
int hooked_setns(int fd, int type) {
  return enter([&] { return own.setns(fd, type); });
}

}  // namespace

void hook_identity(std::vector<govern::GotRequest>& requests) {
  request_c_library(requests, "setuid", hooked_setuid, &own.setuid);
  request_c_library(requests, "seteuid", hooked_seteuid, &own.seteuid);
  request_c_library(requests, "setreuid", hooked_setreuid, &own.setreuid);
  request_c_library(requests, "setresuid", hooked_setresuid, &own.setresuid);
  request_c_library(requests, "unshare", hooked_unshare, &own.unshare);
  request_c_library(requests, "setns", hooked_setns, &own.setns);
}

}  // namespace corewise::agent
