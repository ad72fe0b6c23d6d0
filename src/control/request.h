// What may be asked over the control socket, as one line of JSON (docs/control.md). Clients write
// it, and the process reads it: a request is understood in full, or refused with a sentence.
// Nothing is done here.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "limits/limit.h"

namespace corewise::control {

// A longer line is not a request of ours.
inline constexpr std::size_t kLongestRequest = 4096;

struct Request {
  enum class Command { kInfo, kLimit, kRestore, kGovern, kUngovern, kReport, kSample };
  Command command = Command::kInfo;
  std::vector<Rule> rules = {};  // of kLimit: at least one
  bool dry_run = false;          // of kLimit
  bool each = false;             // of kSample: every thread
  int budget = 0;                // of kGovern; 0: the process's own
};

// One line without its newline; read_request() gives the same request back.
std::string to_json(const Request& request);

// CW_BAD_ARGUMENT or CW_BAD_COUNT. Names of pools are not looked up.
Result<Request> read_request(std::string_view line);

}  // namespace corewise::control
