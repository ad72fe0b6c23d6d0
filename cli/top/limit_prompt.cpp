#include "limit_prompt.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "pools/pool.h"
#include "reach/missing_pools.h"
#include "start/thread_variables.h"

namespace corewise::cli {
namespace {

// The next limit as NAME=N, whichever way it was written: "blas=2,", "--blas=2", "--blas 2".
std::string next_limit(std::string_view& rest) {
  std::string word(cut(rest, ' '));
  if (!word.starts_with("--")) return word;
  word.erase(0, 2);
  rest = trim(rest);
  if (word.find('=') != word.npos || rest.empty()) return word;
  return word + "=" + std::string(cut(rest, ' '));
}

}  // namespace

Result<control::Request> limit_request(std::string_view typed) {
  std::string text(typed);
  std::ranges::replace(text, ',', ' ');
  control::Request request{.command = control::Request::Command::kLimit};
  for (std::string_view rest = trim(text); !rest.empty(); rest = trim(rest)) {
    const std::string word = next_limit(rest);
    const std::size_t equals = word.rfind('=');
    if (equals == word.npos || equals == 0) {
      return Error{CW_BAD_ARGUMENT, fmt::format("'{}' is not NAME=N, as in blas=2", word)};
    }
    const std::string name(word.substr(0, equals));
    const auto count = parse_count(name, std::string(word.substr(equals + 1)));
    if (!count) {
      return Error{CW_BAD_COUNT, fmt::format("'{}': {} takes a whole number from 1 to {}", word,
                                             name, CW_MAX_THREADS)};
    }
    const bool api = std::ranges::find(kApiNames, name) != kApiNames.end();
    request.rules.push_back({api ? CW_MATCH_API : CW_MATCH_NAME, name, 0, *count});
  }
  if (request.rules.empty()) return Error{CW_BAD_ARGUMENT, "nothing was limited"};
  return request;
}

std::string outcome_of_limit(const control::LimitAnswer& answer) {
  std::string text;
  for (const control::PoolOutcome& pool : answer.outcomes) {
    if (!pool.reason.empty()) text = pool.runtime + ": " + pool.reason;
  }
  return text.empty() ? missing_pools(answer) : text;
}

}  // namespace corewise::cli
