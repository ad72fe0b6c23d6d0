#include "tally.h"

#include <algorithm>

#include "base/json.h"

namespace corewise::govern::gate {

void add(const Tally& more, Tally& to) {
  for (const TallyRow& row : kTally) {
    std::uint64_t& sum = to.*row.value;
    const std::uint64_t each = more.*row.value;
    switch (row.kind) {
      case TallyKind::kNumber:
      case TallyKind::kTime:
        sum += each;
        break;
      case TallyKind::kMost:
        sum = std::max(sum, each);
        break;
      case TallyKind::kSizes:
        sum |= each;
        break;
    }
  }
}

void write(Json& json, const TallyRow& row, const Tally& tally) {
  const std::uint64_t count = tally.*row.value;
  if (row.kind == TallyKind::kTime) {
    json.field(row.name, static_cast<double>(count) / 1e9);
  } else {
    json.field(row.name, count);
  }
}

}  // namespace corewise::govern::gate
