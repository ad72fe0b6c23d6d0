#include "records.h"

#include <algorithm>

#include "base/json_reader.h"
#include "pools/known_library.h"

namespace corewise::cli {
namespace {

std::size_t fields_of(char kind) {
  switch (kind) {
    case 'F':
      return 3;
    case 'D':
      return 1;
    default:
      return 2;
  }
}

}  // namespace

bool RecordReader::take() {
  const char kind = text_.empty() ? '\0' : text_.front();
  const std::size_t wanted = fields_of(kind);
  std::vector<std::string> fields;
  std::size_t at = 0;
  while (fields.size() < wanted) {
    const std::size_t end = text_.find('\0', at);
    if (end == text_.npos) return false;
    fields.push_back(text_.substr(at, end - at));
    at = end + 1;
  }
  text_.erase(0, at);
  switch (kind) {
    case 'I':
      told.importing = fields[1];
      break;
    case 'F':
      told.failed.push_back({fields[1], fields[2]});
      break;
    case 'L':
      if (const char* library = known_library(fields[1])) {
        auto& known = told.libraries;
        const auto at_library = std::ranges::lower_bound(known, library);
        if (at_library == known.end() || *at_library != library) known.insert(at_library, library);
      }
      break;
    case 'E':
      told.broke = fields[1];
      break;
    case 'P':
      if (const auto pools = read_json(fields[1])) {
        for (const JsonValue& pool : pools->items_at("pools")) {
          told.pools.push_back(read_pool(pool));
        }
      } else {
        told.broke = pools.error().what;
      }
      break;
    case 'D':
      done_ = true;
      break;
    case 'X':
      if (auto findings = findings_from_json(fields[1])) {
        told.findings = *std::move(findings);
      } else {
        told.broke = findings.error().what;
      }
      break;
    default:
      break;
  }
  return true;
}

}  // namespace corewise::cli
