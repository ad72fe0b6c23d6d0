#include "server.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <climits>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <memory>
#include <mutex>
#include <string_view>
#include <utility>

#include "../govern/ledger_clock.h"
#include "../os/os.h"
#include "conversation.h"
#include "sockets.h"

namespace corewise::control {
namespace {

constexpr std::size_t kMostClients = 16;
constexpr std::int64_t kPatienceMs = 10'000;
constexpr std::size_t kStack = std::size_t{512} << 10;

std::int64_t now_ms() { return static_cast<std::int64_t>(govern::now_ms()); }

// Descriptors that a child of a fork must close: they are its parent's. Known as such before they
// are open to anybody, and forgotten before they are closed.
class Descriptor {
 public:
  int get() const { return fd_.load(std::memory_order_relaxed); }
  void set(int fd) { fd_.store(fd, std::memory_order_relaxed); }
  void close() {
    const int fd = fd_.exchange(-1);
    if (fd >= 0) ::close(fd);
  }

 private:
  std::atomic<int> fd_{-1};
};

struct Client {
  std::unique_ptr<Conversation> talk;
  std::int64_t since_ms = 0;  // of the last progress
  bool last = false;          // to be dropped once it has taken its answer
};

struct Server {
  std::mutex lock;  // of start and stop; no lock is waited for with it held
  std::atomic<bool> running{false};
  bool stopping = false;
  bool serves_children = false;
  pthread_t thread{};
  Descriptor listener;
  Descriptor wake;
  std::array<Descriptor, kMostClients> sockets;
  std::array<Client, kMostClients> clients;  // the thread's own
};

// The file to remove at the end, and whose it is.
constinit std::array<char, sizeof(sockaddr_un::sun_path)> own_path{};
constinit std::atomic<pid_t> owner{0};

void forget_parent();

// Never destroyed: its thread runs until the process is gone.
Server& server() {
  static auto* const kMade = [] {
    os::at_fork([] { server().lock.lock(); }, [] { server().lock.unlock(); }, forget_parent);
    return new Server;
  }();
  return *kMade;
}

// The thread is not here, and its clients are the parent's. What they had asked for half is lost.
void forget_parent() {
  Server& s = server();
  const bool served = s.running.exchange(false);
  s.stopping = false;
  s.listener.close();
  s.wake.close();
  for (Descriptor& socket : s.sockets) socket.close();
  // What they hold was perhaps being changed: it is left behind, not destroyed.
  for (Client& client : s.clients) {
    static_cast<void>(client.talk.release());  // NOLINT(bugprone-unused-return-value)
  }
  s.lock.unlock();
  if (!served || !s.serves_children) return;
  try {
    static_cast<void>(start());
  } catch (const std::exception&) {
    return;  // out of memory: the child goes on without
  }
}

void drop(Server& s, std::size_t i) {
  s.sockets[i].close();
  s.clients[i] = {};
}

// The place of the one that has been silent for longest, if there is no free one.
std::size_t make_place(Server& s) {
  std::size_t oldest = 0;
  for (std::size_t i = 0; i < kMostClients; ++i) {
    if (s.sockets[i].get() < 0) return i;
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

void send_what_fits(Server& s, std::size_t i) {
  Client& client = s.clients[i];
  while (!client.talk->out().empty()) {
    const std::string_view out = client.talk->out();
    const ssize_t n = ::send(s.sockets[i].get(), out.data(), out.size(), MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EAGAIN) return;
    if (n <= 0) return drop(s, i);
    client.talk->sent(static_cast<std::size_t>(n));
    client.since_ms = now_ms();
  }
  if (client.last) drop(s, i);
}

// False if there is none to accept, or no room for one.
bool welcome(Server& s) {
  const int fd = ::accept4(s.listener.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
  if (fd < 0) return false;
  const std::size_t i = make_place(s);
  s.sockets[i].set(fd);
  s.clients[i].talk = std::make_unique<Conversation>();
  s.clients[i].since_ms = now_ms();
  if (is_permitted(fd)) return true;
  const std::string no =
      refusal(CW_NOT_PERMITTED, "only the process's own user and root may control it") + "\n";
  static_cast<void>(!::send(fd, no.data(), no.size(), MSG_NOSIGNAL));
  drop(s, i);
  return true;
}

void hear(Server& s, std::size_t i) {
  std::array<char, kLongestRequest> bytes;
  const ssize_t n = ::recv(s.sockets[i].get(), bytes.data(), bytes.size(), 0);
  if (n < 0 && (errno == EINTR || errno == EAGAIN)) return;
  if (n <= 0) return drop(s, i);
  Client& client = s.clients[i];
  // Time runs from the first byte of a request: who sends one a second will not keep a place.
  if (client.talk->at_rest()) client.since_ms = now_ms();
  client.last = !client.talk->take({bytes.data(), static_cast<std::size_t>(n)});
}

// One request of each, so that nobody has to wait for another's many.
void serve(Server& s) {
  for (std::size_t i = 0; i < kMostClients; ++i) {
    if (s.sockets[i].get() < 0) continue;
    if (!s.clients[i].last && s.clients[i].talk->serve()) s.clients[i].since_ms = now_ms();
    if (!s.clients[i].talk->out().empty()) send_what_fits(s, i);
  }
}

void drop_the_slow(Server& s) {
  const std::int64_t now = now_ms();
  for (std::size_t i = 0; i < kMostClients; ++i) {
    if (s.sockets[i].get() < 0 || s.clients[i].talk->at_rest()) continue;
    if (now - s.clients[i].since_ms >= kPatienceMs) drop(s, i);
  }
}

// How long nothing needs to be done; below 0: for ever.
int time_left(const Server& s) {
  std::int64_t left = -1;
  for (std::size_t i = 0; i < kMostClients; ++i) {
    if (s.sockets[i].get() < 0 || s.clients[i].talk->at_rest()) continue;
    if (s.clients[i].talk->out().empty() && s.clients[i].talk->has_request()) return 0;
    const std::int64_t mine =
        std::max<std::int64_t>(0, s.clients[i].since_ms + kPatienceMs - now_ms());
    left = left < 0 ? mine : std::min(left, mine);
  }
  return static_cast<int>(left);
}

void run(Server& s) {
  constexpr std::int64_t kRestMs = 1000;
  std::int64_t full_until_ms = 0;  // out of descriptors: accepting would fail again at once
  for (;;) {
    std::array<pollfd, kMostClients + 2> all{};
    const bool full = now_ms() < full_until_ms;
    all[0] = {s.wake.get(), POLLIN, 0};
    all[1] = {full ? -1 : s.listener.get(), POLLIN, 0};
    for (std::size_t i = 0; i < kMostClients; ++i) {
      const int fd = s.sockets[i].get();
      const bool owes = fd >= 0 && !s.clients[i].talk->out().empty();
      const bool asked = fd >= 0 && s.clients[i].talk->has_request();
      all[i + 2] = {fd, static_cast<short>(owes ? POLLOUT : asked ? 0 : POLLIN), 0};
    }
    int wait = time_left(s);
    if (full) wait = wait < 0 ? static_cast<int>(kRestMs) : std::min<int>(wait, kRestMs);
    if (::poll(all.data(), all.size(), wait) < 0 && errno != EINTR) return;
    if (all[0].revents != 0) return;
    for (std::size_t i = 0; i < kMostClients; ++i) {
      if (s.sockets[i].get() != all[i + 2].fd || all[i + 2].fd < 0) continue;
      if ((all[i + 2].revents & POLLIN) != 0) {
        hear(s, i);
      } else if ((all[i + 2].revents & (POLLERR | POLLHUP)) != 0) {
        drop(s, i);
      }
    }
    if ((all[1].revents & POLLIN) != 0 && !welcome(s) && (errno == EMFILE || errno == ENFILE)) {
      full_until_ms = now_ms() + kRestMs;
    }
    serve(s);
    drop_the_slow(s);
  }
}

void* thread_main(void*) {
  ::pthread_setname_np(::pthread_self(), "corewise");
  Server& s = server();
  for (;;) {
    try {
      run(s);
      break;
    } catch (const std::exception&) {
      // Of memory there is none left: nobody is served that was, and others may come.
      for (std::size_t i = 0; i < kMostClients; ++i) drop(s, i);
    }
  }
  for (std::size_t i = 0; i < kMostClients; ++i) drop(s, i);
  return nullptr;
}

Error system_error(const std::string& what) {
  return {CW_IO_ERROR, what + ": " + std::generic_category().message(errno)};
}

std::optional<Error> listen_at(Server& s, const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  s.listener.set(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const int fd = s.listener.get();
  // The file gets the mode that the socket has when it is bound: it is never open to others.
  if (fd < 0 || ::fchmod(fd, 0600) != 0) return system_error("no control socket can be made");
  const auto* name = reinterpret_cast<const sockaddr*>(&address);
  if (::bind(fd, name, sizeof address) != 0) {
    if (errno != EADDRINUSE) return system_error(path);
    const int other = connect_path(path);
    if (other >= 0) {
      ::close(other);
      return Error{CW_NOT_AVAILABLE, path + " is served by another copy of corewise"};
    }
    // Left by a process of the same number that is gone.
    ::unlink(path.c_str());
    if (::bind(fd, name, sizeof address) != 0) return system_error(path);
  }
  if (::listen(fd, static_cast<int>(kMostClients)) != 0) return system_error(path);
  return std::nullopt;
}

bool start_thread(Server& s) {
  sigset_t all;
  sigset_t before;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  pthread_attr_t attributes;
  ::pthread_attr_init(&attributes);
  ::pthread_attr_setstacksize(&attributes, kStack);
  int failed = ::pthread_create(&s.thread, &attributes, thread_main, nullptr);
  // Libraries with much thread-local memory leave no room on a small stack.
  if (failed == EINVAL) failed = ::pthread_create(&s.thread, nullptr, thread_main, nullptr);
  ::pthread_attr_destroy(&attributes);
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  errno = failed;
  return failed == 0;
}

void close_all(Server& s) {
  leave();
  s.listener.close();
  s.wake.close();
}

}  // namespace

void prepare() { server(); }

void serve_children() { server().serves_children = true; }

std::optional<Error> start() {
  Server& s = server();
  if (s.running) return std::nullopt;
  const std::lock_guard guard(s.lock);
  if (s.running) return std::nullopt;
  if (s.stopping) return Error{CW_NOT_AVAILABLE, "the control socket is just being ended"};
  const char* wish = std::getenv("COREWISE_CONTROL");  // NOLINT(concurrency-mt-unsafe)
  if (wish != nullptr && std::string_view(wish) == "off") {
    return Error{CW_NOT_AVAILABLE, "COREWISE_CONTROL=off: this process is not to be controlled"};
  }
  const auto path = own_socket();
  if (!path) return path.error();
  if (auto error = listen_at(s, *path)) {
    s.listener.close();
    return error;
  }
  owner.store(0);
  std::ranges::copy(*path, own_path.begin());
  own_path[path->size()] = '\0';
  owner.store(::getpid());
  s.wake.set(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  s.running = s.wake.get() >= 0 && start_thread(s);
  if (s.running) return std::nullopt;
  Error error = system_error("the control socket gets no thread");
  close_all(s);
  return error;
}

void stop() {
  Server& s = server();
  std::unique_lock guard(s.lock);
  if (!s.running) return;
  s.running = false;
  s.stopping = true;
  const std::uint64_t one = 1;
  static_cast<void>(!::write(s.wake.get(), &one, sizeof one));
  guard.unlock();
  // It may be waiting for a lock that a fork holds, which waits for ours.
  ::pthread_join(s.thread, nullptr);
  guard.lock();
  s.stopping = false;
  close_all(s);
}

std::string path() {
  Server& s = server();
  const std::lock_guard guard(s.lock);
  return s.running ? own_path.data() : std::string();
}

void leave() noexcept {
  pid_t self = ::getpid();
  if (owner.compare_exchange_strong(self, 0)) ::unlink(own_path.data());
}

namespace {
[[gnu::destructor]] void at_exit() { leave(); }
}  // namespace

}  // namespace corewise::control
