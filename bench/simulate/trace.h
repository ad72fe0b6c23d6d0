// A recorded task: what it does one after the other, outside of parallel regions and in them.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace corewise::simulate {

enum class PoolKind { kNone, kOpenmp, kBlas1, kBlas2 };  // kNone: no region, only what is before it
inline constexpr int kPoolKinds = 4;

struct Step {
  double before_s = 0;  // serial code since the last region
  PoolKind pool = PoolKind::kNone;
  double work_s = 0;  // the region, on one thread
};

struct Trace {
  int pieces = 1;  // into which its OpenMP regions divide their work at most
  int tasks = 1;   // that were recorded
  std::vector<Step> steps;

  double serial_seconds() const;
};

// No value if this is not a trace; `why` then names the bad line. Format: docs/simulation.md.
std::optional<Trace> parse_trace(std::string_view text, std::string& why);

}  // namespace corewise::simulate
