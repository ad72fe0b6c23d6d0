// One request to one process over its control socket. Nothing here waits for the process: it may be
// stopped, or too busy to answer.
#pragma once

#include <optional>
#include <string>

#include "base/error.h"
#include "base/json_reader.h"
#include "control/request.h"
#include "control/sockets.h"

namespace corewise::cli {

struct Answer {
  JsonValue value;
  std::string text;  // the line, without its end
};

class Question {
 public:
  // Connects and sends.
  Question(int pid, const control::Request& request,
           control::FullQueue full = control::FullQueue::give_up);
  ~Question();
  Question(const Question&) = delete;
  Question& operator=(const Question&) = delete;

  // Readable when there is more to take; -1: nothing will come.
  int fd() const { return fd_; }
  // Whether the process has a control socket that listens.
  bool connected() const { return connected_; }
  // How long ago it was asked.
  double age_s() const;

  // Reads what has arrived. No value until the answer is complete; then the answer, or the error.
  std::optional<Result<Answer>> take();

 private:
  std::optional<Result<Answer>> end(Result<Answer> answer);

  int pid_;
  int fd_ = -1;
  bool connected_ = false;
  double asked_s_;
  std::string text_;
  std::optional<Result<Answer>> answer_;
};

}  // namespace corewise::cli
