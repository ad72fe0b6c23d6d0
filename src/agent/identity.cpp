#include "identity.h"

#include <sched.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <exception>
#include <thread>

#include "base/keep_errno.h"
#include "control/server.h"
#include "govern/patch/filters.h"
#include "os/os.h"
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
  decltype(&::syscall) syscall;
} constinit own{};

template <class Call>
int change_user(uid_t user, Call call) {
  const os::Uncancelled uncancelled;
  const bool had_socket = [&] {
    const KeepErrno keep;
    return control::leave_for_other_user(user);
  }();
  const int result = call();
  const KeepErrno keep;
  try {
    if (had_socket) control::return_as_other_user();
  } catch (const std::exception&) {
    return result;  // out of memory: it goes on without a socket
  }
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

// Whether the kernel may have refused because of other threads (namespaces(7)).
bool are_threads_refused() noexcept { return errno == EINVAL || errno == EUSERS; }

std::size_t thread_count() { return os::names_in("/proc/self/task").size(); }

// Ends our thread if it is the only other one. False: nothing has changed.
bool end_own_thread() {
  const KeepErrno keep;
  const auto wait_until_at_most = [](std::size_t threads) {
    constexpr int kMostTries = 200;
    for (int i = 0; i < kMostTries && thread_count() > threads; ++i) {
      std::this_thread::sleep_for(std::chrono::microseconds(50));
    }
  };
  // Our thread for oneTBB may still be ending.
  wait_until_at_most(2);
  if (thread_count() != 2 || !control::pause()) return false;
  wait_until_at_most(1);
  return true;
}

// If the kernel refuses and ours is the only other thread, that ends, and we ask again. A process
// that got in stays without a socket: it may be another user there, with other folders.
template <class Call>
auto enter(Call call) {
  const int before = errno;
  auto result = call();
  if (result == 0 || !are_threads_refused()) return result;
  const os::Uncancelled uncancelled;
  try {
    if (!end_own_thread()) return result;
    result = call();
    if (result == 0) errno = before;
    const KeepErrno keep;
    control::end_pause(result == 0);
  } catch (const std::exception&) {
    return result;  // out of memory: it goes on without a socket
  }
  return result;
}

int hooked_unshare(int what) {
  return enter([&] { return own.unshare(what); });
}
int hooked_setns(int fd, int type) {
  return enter([&] { return own.setns(fd, type); });
}

// By number. Not setuid and its kin: these change one thread's user, and programs that want that
// for each request, as file servers do, would lose and regain their socket each time.
long enter_by_call(long number, const std::array<long, 5>& arguments) {
  return enter([&] { return own.syscall(number, arguments[0], arguments[1]); });
}

}  // namespace

void hook_identity(std::vector<govern::GotRequest>& requests) {
  request_c_library(requests, "setuid", hooked_setuid, &own.setuid);
  request_c_library(requests, "seteuid", hooked_seteuid, &own.seteuid);
  request_c_library(requests, "setreuid", hooked_setreuid, &own.setreuid);
  request_c_library(requests, "setresuid", hooked_setresuid, &own.setresuid);
  request_c_library(requests, "unshare", hooked_unshare, &own.unshare);
  request_c_library(requests, "setns", hooked_setns, &own.setns);
  own.syscall = reinterpret_cast<decltype(own.syscall)>(os::c_library_function("syscall"));
  if (own.syscall != nullptr) govern::filters::hand_entries_to(enter_by_call);
}

}  // namespace corewise::agent
