#include "records.h"

#include <algorithm>

#include "base/text.h"

namespace corewise::cli {
namespace {

std::size_t fields_of(char kind) {
  switch (kind) {
    case 'P':
      return 12;
    case 'F':
      return 3;
    case 'D':
      return 1;
    default:
      return 2;
  }
}

int count(const std::string& text) {
  const auto number = parse_integer(text);
  return number ? static_cast<int>(std::clamp<std::int64_t>(*number, 0, CW_MAX_THREADS)) : 0;
}

// Fields from 1: api threads scope runtime version layer architecture path detail ceiling slots.
PlannedPool planned_pool(const std::vector<std::string>& fields) {
  const auto api = std::find(kApiNames.begin(), kApiNames.end(), fields[1]);
  PlannedPool pool;
  pool.name = file_name(fields[8]);
  pool.runtime = fields[4];
  pool.api = static_cast<Api>(std::min(api - kApiNames.begin(), std::ptrdiff_t{CW_API_NUMBA}));
  pool.ceiling = count(fields[10]);
  pool.caller_slots = count(fields[11]);
  pool.path = fields[8];
  return pool;
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
    case 'E':
      told.broke = fields[1];
      break;
    case 'J':
      told.pools_json = fields[1];
      break;
    case 'D':
      done_ = true;
      break;
    case 'P':
      told.rows.push_back({fields[1], fields[2].empty() ? "?" : fields[2], fields[3], fields[4],
                           fields[5], fields[6], fields[7], fields[8], fields[9]});
      if (fields[3] != "none" || !fields[10].empty())
        told.planned_pools.push_back(planned_pool(fields));
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
