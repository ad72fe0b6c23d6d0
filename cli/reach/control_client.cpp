#include "control_client.h"

#include <fmt/format.h>
#include <poll.h>

#include <cerrno>

#include "question.h"
#include "shell/exit_codes.h"
#include "shell/output.h"
#include "shell/process_choice.h"
#include "way_in.h"

namespace corewise::cli {

Result<Answer> ask_process(int pid, const control::Request& request, int timeout_ms,
                           bool* connected) {
  Question question(pid, request, control::FullQueue::wait_half_a_second);
  if (connected != nullptr) *connected = question.connected();
  for (;;) {
    if (auto answer = question.take()) return *std::move(answer);
    const int left = timeout_ms - static_cast<int>(1000 * question.age_s());
    pollfd one{question.fd(), POLLIN, 0};
    if (left > 0 && (::poll(&one, 1, left) > 0 || errno == EINTR)) continue;
    return Error{CW_IO_ERROR, fmt::format("process {} does not answer: is it stopped?", pid)};
  }
}

Result<Answer> ask_or_enter(int pid, const control::Request& request, bool* connected) {
  auto answer = ask_process(pid, request, kCommandPatienceMs, connected);
  if (answer || *connected || answer.error().status != CW_NOT_AVAILABLE) return answer;
  if (auto error = make_socket(pid)) return *std::move(error);
  return ask_process(pid, request, kCommandPatienceMs, connected);
}

int fail_to_ask(const Error& error, bool connected, const char* command, int pid) {
  const std::string what = fmt::format("{}: {}", command, printable(error.what, false));
  if (!connected && error.status == CW_NOT_AVAILABLE) {
    return fail(kNoAgent, what,
                "it has one if it was started by `corewise run`, or if it is Python and imported "
                "corewise; COREWISE_CONTROL=off prevents it");
  }
  if (error.status == CW_UNKNOWN_NAME) return fail(kUsage, what);
  return fail(exit_for(error.status), what, remedy_for(error.status, command, pid));
}

}  // namespace corewise::cli
