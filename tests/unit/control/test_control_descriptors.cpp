// The control thread's descriptors lie in a table that belongs to the program.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <set>
#include <string>
#include <system_error>

#include "control/server.h"
#include "control/sockets.h"

using namespace corewise;

namespace {

std::set<int> open_descriptors() {
  std::set<int> found;
  for (int fd = 0; fd < 1024; ++fd) {
    if (::fcntl(fd, F_GETFD) >= 0) found.insert(fd);
  }
  return found;
}

// By the name in /proc, as ThreadSanitizer takes a look at the descriptor itself and the close of
// the thread that it is handed to for a race.
bool is_socket(int fd) {
  std::error_code failed;
  const auto what = std::filesystem::read_symlink("/proc/self/fd/" + std::to_string(fd), failed);
  return what.string().starts_with("socket:");
}

// The sockets that start() has opened. The first start() of a process also opens files of /proc,
// which it keeps.
std::set<int> start_and_see() {
  const std::set<int> before = open_descriptors();
  REQUIRE_FALSE(control::start());
  std::set<int> opened;
  for (const int fd : open_descriptors()) {
    if (!before.contains(fd) && is_socket(fd)) opened.insert(fd);
  }
  return opened;
}

int listen_at(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  REQUIRE(::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
  REQUIRE(::listen(fd, 0) == 0);
  return fd;
}

// A folder of its own for sockets, while one lives.
class Runtime {
 public:
  Runtime() {
    ::mkdtemp(folder_.data());
    const char* old = std::getenv("XDG_RUNTIME_DIR");
    if (old != nullptr) before_ = old;
    ::setenv("XDG_RUNTIME_DIR", folder_.c_str(), 1);
  }
  Runtime(const Runtime&) = delete;
  ~Runtime() {
    control::stop();
    before_.empty() ? ::unsetenv("XDG_RUNTIME_DIR")
                    : ::setenv("XDG_RUNTIME_DIR", before_.c_str(), 1);
    std::filesystem::remove_all(folder_);
  }
  const std::string& folder() const { return folder_; }
  std::size_t sockets() const {
    std::size_t count = 0;
    for (const auto& entry : std::filesystem::directory_iterator(folder_ + "/corewise")) {
      count += entry.is_socket() ? 1 : 0;
    }
    return count;
  }

 private:
  std::string folder_ = "/tmp/corewise-test-XXXXXX";
  std::string before_;
};

// Whether our thread has answered, so that it begins its poll() anew.
bool is_answered(int fd) {
  const std::string line = "{\"request\":\"info\"}\n";
  char c = 0;
  if (::write(fd, line.data(), line.size()) < 0) return false;
  while (::read(fd, &c, 1) == 1) {
    if (c == '\n') return true;
  }
  return false;
}

// Within ten seconds.
template <class Condition>
bool becomes(Condition condition) {
  for (int i = 0; i < 1000 && !condition(); ++i) ::usleep(10'000);
  return condition();
}

}  // namespace

TEST_CASE("The socket takes no number of a standard stream") {
  const Runtime runtime;
  const int kept = ::fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 100);
  ::close(STDIN_FILENO);
  const std::set<int> ours = start_and_see();
  const auto client = control::connect_to(::getpid());  // takes 0 itself
  CHECK(client);
  if (client) CHECK(is_answered(*client));
  const std::set<int> with_client = open_descriptors();
  if (client) ::close(*client);
  if (kept >= 0) ::dup2(kept, STDIN_FILENO), ::close(kept);
  CHECK(ours.size() == 1);
  CHECK(*ours.begin() >= 3);
  CHECK(with_client.contains(*ours.begin() + 1));  // the thread's end
}

TEST_CASE("A listener that took the socket's number keeps its clients") {
  const Runtime runtime;
  const std::set<int> ours = start_and_see();
  const auto client = control::connect_to(::getpid());
  REQUIRE(client);
  REQUIRE(is_answered(*client));

  const std::string path = runtime.folder() + "/program";
  const int listener = listen_at(path);
  for (const int fd : ours) ::dup2(listener, fd);
  static_cast<void>(is_answered(*client));
  const int caller = control::connect_path(path);
  REQUIRE(caller >= 0);
  // The thread sees the caller too, and has to leave it to the program.
  CHECK(becomes([&] { return runtime.sockets() == 0; }));
  pollfd waiting{listener, POLLIN, 0};
  CHECK(::poll(&waiting, 1, 0) == 1);
  CHECK(becomes([] { return control::path().empty(); }));
  for (const int fd : ours) CHECK(::fcntl(fd, F_GETFD) >= 0);
  // Nothing stands in the way of another.
  CHECK_FALSE(control::start());
  CHECK(control::connect_to(::getpid()));
  for (const int fd : ours) ::close(fd);
  ::close(caller);
  ::close(listener);
  ::close(*client);
}

TEST_CASE("The socket ends also where the program has closed it, and closes nothing else") {
  const Runtime runtime;
  SUBCASE("closed") {
    for (const int fd : start_and_see()) ::close(fd);
    control::stop();
  }
  SUBCASE("taken by a file, whose number stays") {
    const std::set<int> ours = start_and_see();
    const int file = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
    for (const int fd : ours) ::dup2(file, fd);
    control::stop();
    for (const int fd : ours) CHECK(::close(fd) == 0);
    ::close(file);
  }
  SUBCASE("and removed, so that nobody can reach the thread") {
    for (const int fd : start_and_see()) ::close(fd);
    std::filesystem::remove_all(runtime.folder() + "/corewise");
    control::stop();
  }
  SUBCASE("shut down, which is readable for ever") {
    for (const int fd : start_and_see()) ::shutdown(fd, SHUT_RDWR);
    CHECK(becomes([] { return control::path().empty(); }));
  }
  CHECK(control::path().empty());
  CHECK_FALSE(control::start());
  CHECK(control::connect_to(::getpid()));
}

TEST_CASE("A new socket removes those of processes that were killed") {
  const Runtime runtime;
  REQUIRE_FALSE(control::start());
  control::stop();
  constexpr int kNobody = (1 << 22) - 1;  // no process gets so high a number by default
  const std::string left = runtime.folder() + "/corewise/" + std::to_string(kNobody) + ".sock";
  const std::string other = runtime.folder() + "/corewise/other";
  ::close(listen_at(left));
  std::ofstream(other) << "not ours";
  CHECK_FALSE(control::start());
  CHECK_FALSE(std::filesystem::exists(left));
  CHECK(std::filesystem::exists(other));
}

TEST_CASE("Connecting ends where the queue is full") {
  const Runtime runtime;
  const std::string path = runtime.folder() + "/full";
  const int listener = listen_at(path);
  std::set<int> callers;
  int fd = control::connect_path(path);
  for (; fd >= 0 && callers.size() < 8; fd = control::connect_path(path)) callers.insert(fd);
  CHECK(fd < 0);
  CHECK(errno == EAGAIN);
  CHECK_FALSE(control::is_left(path));
  for (const int each : callers) ::close(each);
  ::close(listener);
}

TEST_CASE("A socket in a folder that others can write to is not believed") {
  const Runtime runtime;
  REQUIRE_FALSE(control::start());
  CHECK(control::connect_to(::getpid()));
  ::chmod((runtime.folder() + "/corewise").c_str(), 0777);
  CHECK_FALSE(control::connect_to(::getpid()));
}
