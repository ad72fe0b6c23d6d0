// One client of the control socket, as bytes in and bytes out: requests are lines, and so are the
// answers. Knows nothing of sockets and clocks.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "answer.h"
#include "answer_records.h"
#include "request.h"

namespace corewise::control {

class Conversation {
 public:
  using Answer = std::function<std::string(std::string_view)>;
  explicit Conversation(Answer answer = control::answer) : answer_(std::move(answer)) {}

  // Takes what arrived. False: it is not a line of ours and never will be; drop the client after
  // `out` was sent.
  bool take(std::string_view bytes) {
    in_ += bytes;
    if (in_.find('\n') == in_.npos && in_.size() > kLongestRequest) {
      out_ += refusal(CW_BAD_ARGUMENT, "a request is one line of at most " +
                                           std::to_string(kLongestRequest) + " bytes") +
              "\n";
      return false;
    }
    return true;
  }

  // Answers one request, if there is a whole one and the last answer was taken; whether it did.
  bool serve() {
    const std::size_t end = in_.find('\n');
    if (end == in_.npos || !out_.empty()) return false;
    out_ = answer_(std::string_view(in_).substr(0, end)) + "\n";
    in_.erase(0, end + 1);
    return true;
  }

  // Whether there is a whole request without an answer yet.
  bool has_request() const { return in_.find('\n') != in_.npos; }

  std::string_view out() const { return out_; }
  void sent(std::size_t bytes) { out_.erase(0, bytes); }

  // Whether neither side owes anything.
  bool at_rest() const { return in_.empty() && out_.empty(); }

 private:
  Answer answer_;
  std::string in_;
  std::string out_;
};

}  // namespace corewise::control
