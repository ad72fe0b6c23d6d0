#include "question.h"

#include <fmt/format.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "base/clock.h"
#include "control/answer_records.h"
#include "shell/process_choice.h"

namespace corewise::cli {
namespace {

Result<Answer> answer_in(std::string text) {
  auto value = control::read_answer(text);
  if (!value) return value.error();
  return Answer{*std::move(value), std::move(text)};
}

Error io_error(int pid, int reason) {
  return {CW_IO_ERROR, fmt::format("process {}: {}", pid, std::strerror(reason))};
}

}  // namespace

Question::Question(int pid, const control::Request& request, control::FullQueue full)
    : pid_(pid), asked_s_(now_s()) {
  const auto fd = control::connect_to(pid, full);
  connected_ = fd || fd.error().status == CW_IO_ERROR;
  if (fd) fd_ = *fd;
  // A stopped process would carry out the request once it continues, when nobody waits any more.
  if (connected_ && is_stopped(pid)) {
    end(Error{
        CW_IO_ERROR,
        is_debugged(pid)
            ? fmt::format("process {} cannot answer while a debugger holds it", pid)
            : fmt::format("process {} is stopped. It answers after: kill -CONT {}", pid, pid)});
    return;
  }
  if (!fd) {
    end(fd.error());
    return;
  }
  const std::string line = to_json(request) + "\n";
  const ssize_t n = ::send(fd_, line.data(), line.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  if (n != static_cast<ssize_t>(line.size())) end(io_error(pid, n < 0 ? errno : EAGAIN));
}

Question::~Question() {
  if (fd_ >= 0) ::close(fd_);
}

double Question::age_s() const { return now_s() - asked_s_; }

std::optional<Result<Answer>> Question::end(Result<Answer> answer) {
  if (fd_ >= 0) ::close(fd_);
  fd_ = -1;
  answer_ = std::move(answer);
  return answer_;
}

std::optional<Result<Answer>> Question::take() {
  std::array<char, 16384> piece;
  while (!answer_) {
    const ssize_t n = ::recv(fd_, piece.data(), piece.size(), MSG_DONTWAIT);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return std::nullopt;
    if (n < 0) return end(io_error(pid_, errno));
    if (n == 0) {
      return end(Error{CW_PROCESS_ENDED, fmt::format("process {} ended before it answered", pid_)});
    }
    text_.append(piece.data(), static_cast<std::size_t>(n));
    if (text_.back() != '\n') continue;
    text_.pop_back();
    return end(answer_in(std::move(text_)));
  }
  return answer_;
}

}  // namespace corewise::cli
