#include "trace.h"

#include <array>
#include <charconv>
#include <utility>

namespace corewise::simulate {
namespace {

constexpr std::array<std::pair<std::string_view, PoolKind>, kPoolKinds> kNames = {
    {{"-", PoolKind::kNone},
     {"omp", PoolKind::kOpenmp},
     {"blas1", PoolKind::kBlas1},
     {"blas2", PoolKind::kBlas2}}};

// Takes what is before `end` off the text, and `end` with it; all of the text if it has no `end`.
std::string_view take(std::string_view& text, char end) {
  const std::size_t at = text.find(end);
  const std::string_view head = text.substr(0, at);
  text = at == std::string_view::npos ? std::string_view() : text.substr(at + 1);
  return head;
}

std::optional<long long> number(std::string_view text) {
  long long found = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), found);
  if (error != std::errc{} || end != text.data() + text.size() || found < 0) return std::nullopt;
  return found;
}

std::optional<Step> parse_step(std::string_view line) {
  const auto before = number(take(line, ','));
  const std::string_view name = take(line, ',');
  const auto work = number(line);
  if (!before || !work) return std::nullopt;
  for (const auto& [known, pool] : kNames) {
    if (known != name) continue;
    return Step{1e-9 * static_cast<double>(*before), pool, 1e-9 * static_cast<double>(*work)};
  }
  return std::nullopt;
}

// "# pieces 79" and "# tasks 10"; other remarks are for people.
bool parse_remark(std::string_view line, Trace& trace) {
  for (const auto& [word, into] :
       {std::pair{"# pieces ", &trace.pieces}, std::pair{"# tasks ", &trace.tasks}}) {
    const std::string_view start = word;
    if (!line.starts_with(start)) continue;
    const auto found = number(line.substr(start.size()));
    if (!found || *found < 1 || *found > 1'000'000) return false;
    *into = static_cast<int>(*found);
  }
  return true;
}

}  // namespace

double Trace::serial_seconds() const {
  double sum = 0;
  for (const Step& step : steps) sum += step.before_s + step.work_s;
  return sum;
}

std::optional<Trace> parse_trace(std::string_view text, std::string& why) {
  Trace trace;
  while (!text.empty()) {
    const std::string_view line = take(text, '\n');
    bool good = true;
    if (line.starts_with('#')) {
      good = parse_remark(line, trace);
    } else if (const auto step = parse_step(line)) {
      trace.steps.push_back(*step);
    } else {
      good = line.empty();
    }
    if (good) continue;
    why = "no line of a trace: " + std::string(line);
    return std::nullopt;
  }
  if (trace.serial_seconds() > 0) return trace;
  why = "nothing happens in it";
  return std::nullopt;
}

}  // namespace corewise::simulate
