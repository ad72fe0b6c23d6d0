#include "server.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <memory>
#include <mutex>
#include <string_view>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/keep_errno.h"
#include "conversation.h"
#include "os/confined.h"
#include "os/fork.h"
#include "os/os.h"
#include "os/own_descriptor.h"
#include "os/threads.h"
#include "os/uncancelled.h"
#include "pools/pool.h"
#include "sockets.h"

namespace corewise::control {
namespace {

constexpr std::size_t kMostClients = 16;
constexpr std::int64_t kPatienceMs = 10'000;

std::int64_t now_ms() { return static_cast<std::int64_t>(corewise::now_ms()); }

struct Client {
  std::unique_ptr<Conversation> talk;
  std::int64_t since_ms = 0;  // of the last progress
  bool last = false;          // to drop once it has taken its answer
};

enum class Ending { none, awaited, unattended };

// What one thread serves. Only that thread uses it, except for `ending` and for the descriptors,
// which a child of a fork closes.
struct Session {
  std::atomic<Ending> ending{Ending::none};
  pthread_t thread{};
  os::OwnDescriptor listener;
  std::array<os::OwnDescriptor, kMostClients> sockets;
  std::array<Client, kMostClients> clients;
};

enum class Pause { none, here, for_good };

struct Server {
  // Guards what follows; never wait for another lock with it held.
  os::ForkLock& lock = os::fork_lock(os::ForkRank::kControl);
  std::atomic<Session*> serving{};  // null: none
  std::vector<Session*> all;        // also those whose thread is on its way out
  std::atomic<Pause> pause{Pause::none};
  std::atomic<bool> is_wanted{false};  // started and not stopped, whatever became of the socket
  bool serves_children = false;
};

// The file to remove at the end, and the process that owns it.
constinit std::array<char, sizeof(sockaddr_un::sun_path)> own_path{};
constinit os::Owner owner;

// The program goes on without its main thread, which had these signals blocked.
constinit std::atomic<bool> main_thread_left{false};
constinit sigset_t main_thread_signals{};

void forget_parent();
void leave_with_the_last();

// Never destroyed: its thread runs until the process is gone.
Server& server() {
  static auto* const kMade = [] {
    owner.prepare();
    os::watch_confinement();
    os::at_fork(os::ForkRank::kControl, {.in_child = forget_parent});
    os::at_main_thread_exit(leave_with_the_last);
    return new Server;
  }();
  return *kMade;
}

// The child has no such thread, and the clients are the parent's. A half-sent request is lost.
void forget_parent() {
  const os::Uncancelled uncancelled;
  main_thread_left = false;
  os::at_main_thread_exit(leave_with_the_last);
  Server& s = server();
  // The parent may have been changing the rest when it forked: do not destroy it. In a confined
  // child the sockets stay open: to look whether they are still ours may be fatal.
  for (Session* session : s.all) {
    if (os::is_known_confined()) break;
    session->listener.close();
    for (os::OwnDescriptor& socket : session->sockets) socket.close();
  }
  s.all.clear();
  s.serving = nullptr;
  // The call that it is for is the parent's.
  if (s.pause == Pause::here) s.pause = Pause::none;
  const bool again = s.is_wanted.exchange(false) && s.serves_children;
  if (!again) return;
  try {
    static_cast<void>(start());
  } catch (const std::exception&) {
    return;  // out of memory: the child goes on without
  }
}

// From now on the thread checks whether another is left. It waits at the listener: wake it.
void leave_with_the_last() {
  ::pthread_sigmask(SIG_SETMASK, nullptr, &main_thread_signals);
  main_thread_left = true;
  if (!owner.is_this_process() || os::is_confined()) return;
  const int caller = connect_path(own_path.data());
  if (caller >= 0) ::close(caller);
}

void drop(Session& s, std::size_t i) {
  s.sockets[i].close();
  s.clients[i] = {};
}

// A free place, or that of the client that has been silent longest.
std::size_t make_place(Session& s) {
  std::size_t oldest = 0;
  for (std::size_t i = 0; i < kMostClients; ++i) {
    if (!s.sockets[i].is_open()) return i;
    if (s.clients[i].since_ms < s.clients[oldest].since_ms) oldest = i;
  }
  drop(s, oldest);
  return oldest;
}

bool is_permitted(int fd) {
  ucred peer{};
  socklen_t size = sizeof peer;
  return ::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 &&
         (peer.uid == ::geteuid() || peer.uid == 0);
}

void send_what_fits(Session& s, std::size_t i) {
  Client& client = s.clients[i];
  while (!client.talk->out().empty()) {
    const std::string_view out = client.talk->out();
    const ssize_t n = ::send(s.sockets[i].own(), out.data(), out.size(), MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EAGAIN) return;
    if (n <= 0) return drop(s, i);
    client.talk->sent(static_cast<std::size_t>(n));
    client.since_ms = now_ms();
  }
  if (client.last) drop(s, i);
}

enum class Accepted { yes, nobody, no_room, lost };

// What a failed accept4() says of the listener.
Accepted judge(int error) {
  switch (error) {
    case EAGAIN:
    case EINTR:
    case ECONNABORTED:
      return Accepted::nobody;
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
    case ENOMEM:
    case EPERM:  // seccomp or a security module
      return Accepted::no_room;
    default:
      return Accepted::lost;
  }
}

Accepted welcome(Session& s) {
  const int fd = ::accept4(s.listener.own(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
  if (fd < 0) return judge(errno);
  const std::size_t i = make_place(s);
  if (!s.sockets[i].adopt(fd)) return Accepted::no_room;
  s.clients[i].talk = std::make_unique<Conversation>();
  s.clients[i].since_ms = now_ms();
  if (is_permitted(s.sockets[i].own())) return Accepted::yes;
  const std::string no =
      refusal(CW_NOT_PERMITTED, "only the process's own user and root may control it") + "\n";
  static_cast<void>(!::send(s.sockets[i].own(), no.data(), no.size(), MSG_NOSIGNAL));
  drop(s, i);
  return Accepted::yes;
}

void hear(Session& s, std::size_t i) {
  std::array<char, kLongestRequest> bytes;
  const ssize_t n = ::recv(s.sockets[i].own(), bytes.data(), bytes.size(), 0);
  if (n < 0 && (errno == EINTR || errno == EAGAIN)) return;
  if (n <= 0) return drop(s, i);
  Client& client = s.clients[i];
  // Time runs from a request's first byte: a client that sends one a second loses its place.
  if (client.talk->at_rest()) client.since_ms = now_ms();
  client.last = !client.talk->take({bytes.data(), static_cast<std::size_t>(n)});
}

// One request of each client, so that none waits for another's many.
void serve(Session& s) {
  for (std::size_t i = 0; i < kMostClients; ++i) {
    if (!s.sockets[i].is_open()) continue;
    if (!s.clients[i].last && s.clients[i].talk->serve()) s.clients[i].since_ms = now_ms();
    if (!s.clients[i].talk->out().empty()) send_what_fits(s, i);
  }
}

void drop_the_slow(Session& s) {
  const std::int64_t now = now_ms();
  for (std::size_t i = 0; i < kMostClients; ++i) {
    if (!s.sockets[i].is_open() || s.clients[i].talk->at_rest()) continue;
    if (now - s.clients[i].since_ms >= kPatienceMs) drop(s, i);
  }
}

// How long there is nothing to do; below 0: forever. A thread that nobody asks makes no system
// call: they may be fatal in a program that has confined itself.
int time_left(const Session& s) {
  std::int64_t left = -1;
  for (std::size_t i = 0; i < kMostClients; ++i) {
    if (!s.sockets[i].is_open() || s.clients[i].talk->at_rest()) continue;
    if (s.clients[i].talk->out().empty() && s.clients[i].talk->has_request()) return 0;
    const std::int64_t mine =
        std::max<std::int64_t>(0, s.clients[i].since_ms + kPatienceMs - now_ms());
    left = left < 0 ? mine : std::min(left, mine);
  }
  return static_cast<int>(left);
}

// Returns when the session is to end, when the program has taken the listener's number away, or
// when no thread of the program is left.
void run(Session& s) {
  constexpr std::int64_t kRestMs = 1000;
  constexpr int kLastThreadMs = 50;
  std::int64_t full_until_ms = 0;  // out of descriptors: accepting would fail again at once
  while (s.ending == Ending::none) {
    std::array<pollfd, kMostClients + 1> all{};
    const bool full = now_ms() < full_until_ms;
    all[kMostClients] = {full ? -1 : s.listener.number(), POLLIN, 0};
    for (std::size_t i = 0; i < kMostClients; ++i) {
      const bool owes = s.sockets[i].is_open() && !s.clients[i].talk->out().empty();
      const bool asked = s.sockets[i].is_open() && s.clients[i].talk->has_request();
      const int events = owes ? POLLOUT : asked ? 0 : POLLIN;
      all[i] = {s.sockets[i].number(), static_cast<short>(events), 0};
    }
    int wait = time_left(s);
    if (main_thread_left) {
      if (!os::others_live()) return;
      wait = wait < 0 ? kLastThreadMs : std::min(wait, kLastThreadMs);
    }
    if (full) wait = wait < 0 ? static_cast<int>(kRestMs) : std::min<int>(wait, kRestMs);
    // The kernel refuses more entries than the process may have descriptors.
    const auto unused = std::ranges::remove_if(all, [](const pollfd& one) { return one.fd < 0; });
    const auto used = all.size() - unused.size();
    if (::poll(all.data(), used, wait) < 0 && errno != EINTR) return;
    for (std::size_t k = 0; k < used; ++k) {
      if (all[k].fd == s.listener.number()) {
        if (all[k].revents == 0) continue;
        const Accepted accepted = welcome(s);
        // A listener that the program shut down is ready forever, with nobody to accept.
        const bool is_ended = (all[k].revents & (POLLERR | POLLHUP | POLLNVAL)) != 0;
        if (accepted == Accepted::lost || (is_ended && accepted == Accepted::nobody)) return;
        if (accepted == Accepted::no_room) full_until_ms = now_ms() + kRestMs;
        continue;
      }
      for (std::size_t i = 0; i < kMostClients; ++i) {
        if (s.sockets[i].number() != all[k].fd) continue;
        if ((all[k].revents & POLLIN) != 0) {
          hear(s, i);
        } else if ((all[k].revents & (POLLERR | POLLHUP | POLLNVAL)) != 0) {
          drop(s, i);
        }
      }
    }
    serve(s);
    drop_the_slow(s);
  }
}

// The thread's last act.
void retire(Session& s) {
  for (std::size_t i = 0; i < kMostClients; ++i) drop(s, i);
  Server& all = server();
  const std::lock_guard guard(all.lock);
  if (s.ending == Ending::awaited) return;  // the thread that waits frees it
  if (all.serving == &s) {
    all.serving = nullptr;
    leave();
  }
  if (s.ending == Ending::none) ::pthread_detach(s.thread);
  s.listener.close();
  std::erase(all.all, &s);
  delete &s;
}

void* thread_main(void* session) {
  const OwnThread ours;
  ::pthread_setname_np(::pthread_self(), "corewise");
  Session& s = *static_cast<Session*>(session);
  for (;;) {
    try {
      run(s);
      break;
    } catch (const std::exception&) {
      // Out of memory: drop the clients that were served; others may come.
      for (std::size_t i = 0; i < kMostClients; ++i) drop(s, i);
    }
  }
  retire(s);
  // If this thread is the last, its end is the program's: the program's handlers run here.
  if (main_thread_left) ::pthread_sigmask(SIG_SETMASK, &main_thread_signals, nullptr);
  return nullptr;
}

Error system_error(const std::string& what) {
  return {CW_IO_ERROR, what + ": " + system_says(errno)};
}

std::optional<Error> listen_at(Session& s, const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  const bool made =
      s.listener.adopt(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const int fd = s.listener.number();
  // The file gets the mode that the socket has when it is bound: it is never open to others.
  if (!made || ::fchmod(fd, 0600) != 0) return system_error("no control socket can be made");
  const auto* name = reinterpret_cast<const sockaddr*>(&address);
  if (::bind(fd, name, sizeof address) != 0) {
    if (errno != EADDRINUSE) return system_error(path);
    if (!is_left(path)) {
      return Error{CW_NOT_AVAILABLE, path + " is served by another copy of corewise"};
    }
    // Left by a process with the same pid, or by the program that this one ran before exec.
    ::unlink(path.c_str());
    if (::bind(fd, name, sizeof address) != 0) return system_error(path);
  }
  if (::listen(fd, static_cast<int>(kMostClients)) != 0) return system_error(path);
  return std::nullopt;
}

bool start_thread(Session& s) {
  errno = os::start_own_thread(s.thread, thread_main, &s);
  return errno == 0;
}

// Wakes a thread that may wait forever. False: the program has closed the listener, and nobody can
// reach the socket at which the thread still waits.
bool wake(Session& s) {
  const int fd = s.listener.own();
  if (fd >= 0) return ::shutdown(fd, SHUT_RDWR) == 0;
  const int caller = owner.is_this_process() ? connect_path(own_path.data()) : -1;
  if (caller >= 0) ::close(caller);
  return caller >= 0;
}

// Takes the session from the server, whose lock is held, and wakes its thread to end.
void dismiss(Server& s, Session& session, Ending how) {
  s.serving = nullptr;
  session.ending = how;
  if (!wake(session)) session.ending = Ending::unattended;
  if (session.ending == Ending::unattended) ::pthread_detach(session.thread);
  leave();
}

// The destructors of libraries that wrap the C library's functions (libfaketime) may run before
// ours, which calls them. Exit handlers run before all, except those of a library that was
// preloaded.
void end_before_destructors();

// With the server's lock held.
std::optional<Error> start_serving(Server& s) {
  if (os::variable("COREWISE_CONTROL") == "off") {
    return Error{CW_NOT_AVAILABLE, "COREWISE_CONTROL=off: this process is not to be controlled"};
  }
  const auto path = own_socket();
  if (!path) return path.error();
  auto session = std::make_unique<Session>();
  s.all.reserve(s.all.size() + 1);
  if (auto error = listen_at(*session, *path)) {
    session->listener.close();
    return error;
  }
  owner.clear();
  std::ranges::copy(*path, own_path.begin());
  own_path[path->size()] = '\0';
  owner.take();
  if (!start_thread(*session)) {
    Error error = system_error("the control socket gets no thread");
    leave();
    session->listener.close();
    return error;
  }
  end_before_destructors();
  s.all.push_back(session.get());
  s.serving = session.release();
  s.is_wanted = true;
  return std::nullopt;
}

// `guard` holds the server's lock.
std::optional<Error> start_with(Server& s, std::unique_lock<os::ForkLock> guard) {
  if (s.serving != nullptr) return std::nullopt;
  if (s.pause != Pause::none) {
    return Error{CW_NOT_AVAILABLE,
                 "this process has entered a namespace that only a process with one thread enters"};
  }
  // Also in forked children of such a program, and when it loads a library later.
  if (os::is_confined()) {
    return Error{CW_NOT_PERMITTED, "this process has confined itself since it began (seccomp)"};
  }
  if (os::is_filter_fatal()) {
    return Error{
        CW_NOT_PERMITTED,
        "the filter (seccomp) that this process was started under would kill it for a socket"};
  }
  if (auto error = start_serving(s)) return error;
  guard.unlock();
  remove_left();
  return std::nullopt;
}

}  // namespace

void prepare() { server(); }

void serve_children() { server().serves_children = true; }

std::optional<Error> start() {
  Server& s = server();
  if (s.serving != nullptr) return std::nullopt;
  return start_with(s, std::unique_lock(s.lock));
}

bool start_unless_busy() {
  Server& s = server();
  if (s.serving != nullptr) return true;
  std::unique_lock guard(s.lock, std::try_to_lock);
  if (!guard.owns_lock()) return false;
  static_cast<void>(start_with(s, std::move(guard)));
  return true;
}

void stop() {
  Server& s = server();
  std::unique_lock guard(s.lock);
  s.is_wanted = false;
  Session* const session = s.serving;
  if (session == nullptr) return;
  dismiss(s, *session, Ending::awaited);
  if (session->ending != Ending::awaited) return;
  guard.unlock();
  // The thread may be waiting for a lock that a fork holds, which waits for ours.
  ::pthread_join(session->thread, nullptr);
  guard.lock();
  std::erase(s.all, session);
  session->listener.close();
  delete session;
}

bool pause() {
  // Neither a child of vfork nor one that ran no handlers has the thread.
  if (!owner.is_this_process() || os::is_confined()) return false;
  Server& s = server();
  const std::lock_guard guard(s.lock);
  Session* const session = s.serving;
  if (session == nullptr) return false;
  s.pause = Pause::here;
  s.is_wanted = false;
  // Nobody waits for it: it may be waiting for the loader's lock, which our caller may hold.
  dismiss(s, *session, Ending::unattended);
  return true;
}

void end_pause(bool entered) {
  Server& s = server();
  {
    const std::lock_guard guard(s.lock);
    s.pause = entered ? Pause::for_good : Pause::none;
  }
  if (!entered) static_cast<void>(start());
}

std::string path() {
  Server& s = server();
  const std::lock_guard guard(s.lock);
  return s.serving != nullptr ? own_path.data() : std::string();
}

void leave() noexcept {
  if (!owner.give_up()) return;
  // The kernel may kill a confined program for it; the next process removes the file.
  if (!os::is_confined()) ::unlink(own_path.data());
}

bool leave_for_other_user(uid_t user) noexcept {
  if (!owner.is_this_process()) return false;
  if (!os::is_confined() && (user == static_cast<uid_t>(-1) || user == ::geteuid())) return false;
  leave();
  return true;
}

void return_as_other_user() {
  Server& s = server();
  {
    const std::lock_guard guard(s.lock);
    if (Session* const session = s.serving) dismiss(s, *session, Ending::unattended);
  }
  static_cast<void>(start());
}

namespace {

[[gnu::destructor]] void end() {
  const KeepErrno keep;
  if (!owner.is_this_process()) return;
  leave();
  if (os::is_confined()) return;
  try {
    remove_left();
  } catch (const std::exception&) {
    return;  // out of memory: the next process removes them
  }
}

void end_before_destructors() {
  static const bool kOnce = std::atexit(end) == 0;
  static_cast<void>(kOnce);
}

}  // namespace

}  // namespace corewise::control
