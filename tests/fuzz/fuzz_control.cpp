// Any bytes as what a client of the control socket sends, cut anywhere: each whole line is answered
// by one line, and what was read as JSON can be read again as it is written.
#include <cstdlib>
#include <string>

#include "base/json.h"
#include "base/json_reader.h"
#include "control/conversation.h"
#include "control/request.h"

using namespace corewise;

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  control::Conversation talk([](std::string_view line) {
    const auto request = control::read_request(line);
    if (!request) return control::refusal(request.error().status, request.error().what);
    for (const Rule& rule : request->rules) {
      if (rule.name.empty() || rule.threads < 1 || rule.threads > CW_MAX_THREADS) std::abort();
    }
    return std::string("{}");
  });
  const std::size_t piece = size > 0 ? data[0] % 64U + 1 : 1;
  for (std::size_t at = 0; at < size; at += piece) {
    const bool taken = talk.take(text.substr(at, piece));
    while (talk.serve()) {
      const std::string_view out = talk.out();
      if (!read_json(out) || out.back() != '\n') std::abort();
      talk.sent(out.size());
    }
    if (!taken) return 0;
  }
  const auto value = read_json(text);
  if (value && value->kind == JsonValue::Kind::kText) {
    const auto again = read_json(Json().value(value->text).text());
    if (!again || again->text != value->text) std::abort();
  }
  return 0;
}
