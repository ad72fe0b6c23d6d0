#include "gate_counts.h"

#include <algorithm>

#include "base/json.h"

namespace corewise::govern::gate {

void add(const Counts& counts, Counts& to) {
  for (const CountRow& row : kCounts) {
    std::uint64_t& sum = to.*row.value;
    const std::uint64_t more = counts.*row.value;
    switch (row.kind) {
      case CountKind::kNumber:
      case CountKind::kTime:
        sum += more;
        break;
      case CountKind::kMost:
        sum = std::max(sum, more);
        break;
      case CountKind::kSizes:
        sum |= more;
        break;
    }
  }
}

void write(Json& json, const CountRow& row, const Counts& counts) {
  const std::uint64_t count = counts.*row.value;
  if (row.kind == CountKind::kTime) {
    json.field(row.name, static_cast<double>(count) / 1e9);
  } else {
    json.field(row.name, count);
  }
}

}  // namespace corewise::govern::gate
