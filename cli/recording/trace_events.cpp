#include "trace_events.h"

#include <fmt/format.h>

#include <cstdint>
#include <map>
#include <set>
#include <string_view>
#include <utility>

#include "base/json.h"
#include "recording.h"

namespace corewise::cli {
namespace {

using Thread = std::pair<int, int>;  // pid and tid

struct Slice {
  double from_s = 0;
  double to_s = 0;
  double cpu_s = 0;
  double delay_s = 0;
  bool ran = false;  // more than it waited for a CPU
};

std::int64_t microseconds(double seconds) { return static_cast<std::int64_t>(1e6 * seconds); }

class Trace {
 public:
  explicit Trace(const std::vector<JsonValue>& lines) : own_(own_threads(lines)) {
    json_.open('{').field("displayTimeUnit", "ms").key("traceEvents").open('[');
    // A sample may come before the line that names the thread's pool.
    for (const JsonValue& line : lines) {
      const std::string event = line.text_at("event");
      if (event == "process") add_process(line);
      if (event == "thread") pools_[thread_of(line)] = line.text_at("pool");
    }
    for (const JsonValue& line : lines) {
      if (line.text_at("event") == "sample") add_sample(line);
    }
    for (const auto& [thread, slice] : slices_) write(thread, slice);
    for (const auto& [thread, slice] : slices_) write_name(thread);
  }

  std::string text() { return json_.close(']').close('}').text() + "\n"; }

 private:
  static Thread thread_of(const JsonValue& line) {
    return {static_cast<int>(line.number_at("pid")), static_cast<int>(line.number_at("tid"))};
  }

  std::string pool_of(const Thread& thread) const {
    const auto known = pools_.find(thread);
    return known == pools_.end() || known->second.empty() ? "unknown" : known->second;
  }

  Json& event(const char* phase, std::string_view name, const Thread& thread) {
    json_.open('{').field("ph", phase).field("name", name);
    return json_.field("pid", thread.first).field("tid", thread.second);
  }

  void add_process(const JsonValue& line) {
    const int pid = thread_of(line).first;
    if (first_ == 0) first_ = pid;
    event("M", "process_name", {pid, pid}).key("args").open('{');
    json_.field("name", line.text_at("command")).close('}').close('}');
  }

  void write_name(const Thread& thread) {
    event("M", "thread_name", thread).key("args").open('{');
    json_.field("name", pool_of(thread)).close('}').close('}');
  }

  void write(const Thread& thread, const Slice& slice) {
    const std::string pool = pool_of(thread);
    event("X", slice.ran ? pool : pool + ": ready, no CPU", thread);
    json_.field("ts", microseconds(slice.from_s));
    json_.field("dur", microseconds(slice.to_s - slice.from_s)).key("args").open('{');
    json_.field("cpu_s", slice.cpu_s).field("ready_without_cpu_s", slice.delay_s);
    json_.close('}').close('}');
  }

  void add_sample(const JsonValue& line) {
    const double to = line.number_at("t");
    const double from = to - line.number_at("dt");
    double cpu_sum = 0;
    double delay_sum = 0;
    for (const JsonValue& each : line.items_at("threads")) {
      if (each.items.size() != 4) continue;
      const Thread thread = {each.items[0].whole().value_or(0), each.items[1].whole().value_or(0)};
      if (own_.contains(thread)) continue;
      const double cpu = each.items[2].number;
      const double delay = each.items[3].number;
      cpu_sum += cpu;
      delay_sum += delay;
      extend(thread, {from, to, cpu * (to - from), delay * (to - from), cpu >= delay});
    }
    event("C", "threads ready to run", {first_, first_}).field("ts", microseconds(from));
    json_.key("args").open('{').field("on a CPU", cpu_sum).field("no CPU free", delay_sum);
    json_.close('}').close('}');
  }

  // Consecutive samples that say the same become one slice.
  void extend(const Thread& thread, const Slice& next) {
    const auto [at, fresh] = slices_.emplace(thread, next);
    if (fresh) return;
    Slice& last = at->second;
    if (last.ran == next.ran && next.from_s - last.to_s < 1e-3) {
      last.to_s = next.to_s;
      last.cpu_s += next.cpu_s;
      last.delay_s += next.delay_s;
      return;
    }
    write(thread, last);
    last = next;
  }

  std::set<Thread> own_;
  std::map<Thread, std::string> pools_;
  std::map<Thread, Slice> slices_;  // the last of each thread, not written yet
  int first_ = 0;                   // the process that carries the counters
  Json json_;
};

}  // namespace

std::string trace_events(const std::vector<JsonValue>& lines) { return Trace(lines).text(); }

}  // namespace corewise::cli
