#include "control_client.h"

#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "control/sockets.h"
#include "exit_codes.h"
#include "output.h"
#include "process_choice.h"
#include "way_in.h"

namespace corewise::cli {
namespace {

Result<std::string> exchange(int fd, int pid, const std::string& request, int timeout_ms) {
  const timeval patience{timeout_ms / 1000, timeout_ms % 1000 * 1000L};
  ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  const std::string line = request + "\n";
  if (::send(fd, line.data(), line.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(line.size())) {
    return Error{CW_IO_ERROR, fmt::format("process {}: {}", pid, std::strerror(errno))};
  }
  std::string text;
  std::array<char, 16384> piece;
  for (;;) {
    const ssize_t n = ::recv(fd, piece.data(), piece.size(), 0);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) {
      return Error{CW_IO_ERROR, fmt::format("process {} does not answer: is it stopped?", pid)};
    }
    if (n == 0) {
      return Error{CW_PROCESS_ENDED, fmt::format("process {} ended before it answered", pid)};
    }
    text.append(piece.data(), static_cast<std::size_t>(n));
    if (text.back() != '\n') continue;
    text.pop_back();
    return text;
  }
}

}  // namespace

Result<Answer> ask_process(int pid, const std::string& request, int timeout_ms, bool* connected) {
  const auto fd = control::connect_to(pid);
  if (connected != nullptr) *connected = bool(fd);
  if (!fd) return fd.error();
  // It would do what it was asked when it goes on, when nobody waits for the answer any more.
  if (const char state = state_of(pid); state == 'T' || state == 't') {
    ::close(*fd);
    return Error{CW_IO_ERROR, fmt::format("process {} is stopped, and cannot answer before it goes "
                                          "on (kill -CONT {})",
                                          pid, pid)};
  }
  auto text = exchange(*fd, pid, request, timeout_ms);
  ::close(*fd);
  if (!text) return text.error();
  auto value = read_json(*text);
  if (!value) return value.error();
  if (const JsonValue* error = value->find("error")) {
    return Error{static_cast<Status>(static_cast<int>(error->number_at("status", CW_INTERNAL))),
                 error->text_at("message")};
  }
  return Answer{*std::move(value), *std::move(text)};
}

Result<Answer> ask_or_enter(int pid, const std::string& request, bool* connected) {
  constexpr int kLongest = 30'000;
  auto answer = ask_process(pid, request, kLongest, connected);
  if (answer || *connected || answer.error().status != CW_NOT_AVAILABLE) return answer;
  if (auto error = make_socket(pid)) return *std::move(error);
  return ask_process(pid, request, kLongest, connected);
}

int fail_to_ask(const Error& error, bool connected, const char* command, int pid) {
  const std::string what = fmt::format("{}: {}", command, printable(error.what, false));
  if (!connected && error.status == CW_NOT_AVAILABLE) {
    return fail(kNoAgent, what,
                "it has one if it was started by `corewise run`, or if it is Python and imported "
                "corewise; COREWISE_CONTROL=off prevents it");
  }
  if (connected && error.status == CW_UNKNOWN_NAME) return fail(kUsage, what);
  return fail(exit_for(error.status), what, remedy_for(error.status, command, pid));
}

}  // namespace corewise::cli
