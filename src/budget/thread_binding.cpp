#include "thread_binding.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>

#include "base/text.h"
#include "os/confined.h"
#include "os/fork.h"
#include "os/os.h"
#include "pools/discover.h"

namespace corewise {

std::string binding_request(const os::Machine& machine) {
  constexpr std::array kNames = {"OMP_PROC_BIND", "OMP_PLACES", "GOMP_CPU_AFFINITY",
                                 "KMP_AFFINITY"};
  constexpr std::array kNobody = {"", "false", "disabled", "none"};
  for (const char* name : kNames) {
    const std::string value = machine.variable(name).value_or("");
    const bool asks = std::ranges::none_of(
        kNobody, [&](const char* nobody) { return same_word(trim(value), nobody); });
    if (asks) return std::string(name) + "=" + value;
  }
  return {};
}

CpuSet masks_of_threads(const os::Machine& machine) {
  constexpr std::string_view kList = "Cpus_allowed_list:";
  const std::string folder = "/proc/self/task";
  CpuSet all;
  for (const std::string& thread : machine.list(folder)) {
    const std::string status = machine.read(folder + "/" + thread + "/status").text;
    const std::string_view line = line_starting(status, kList);
    if (line.empty()) continue;
    if (const auto mask = parse_cpulist(line.substr(kList.size()))) all |= *mask;
  }
  return all;
}

namespace thread_binding {
namespace {

// The masks at the load of the library and at the fork of this process: written before there are
// other threads.
constinit os::MainThreadMask at_start;
constinit os::MainThreadMask at_fork;
constinit std::atomic<const Conclusion*> concluded{nullptr};

// All that were ever drawn, each once: another thread may be reading an old one, and a program may
// go back and forth between two masks.
struct Drawn {
  Conclusion conclusion;
  const Drawn* before;
};
constinit std::atomic<const Drawn*> drawn{nullptr};

const Conclusion* kept(const Conclusion& conclusion) {
  const Drawn* last = drawn.load(std::memory_order_acquire);
  for (const Drawn* each = last; each != nullptr; each = each->before) {
    if (each->conclusion == conclusion) return &each->conclusion;
  }
  auto* const fresh = new Drawn{conclusion, last};
  while (!drawn.compare_exchange_weak(fresh->before, fresh)) continue;
  return &fresh->conclusion;
}

bool is_within(const CpuSet& part, const CpuSet& whole) { return (part & whole) == part; }
bool is_narrower(const CpuSet& part, const CpuSet& whole) {
  return part != whole && is_within(part, whole);
}

// The first mask that holds `now` and more: exactly `count` CPUs, or any number if `count` is 0.
std::optional<CpuSet> wider(const std::vector<CpuSet>& from, const CpuSet& now, int count = 0) {
  for (const CpuSet& mask : from) {
    if (is_narrower(now, mask) && (count == 0 || mask.count() == count)) return mask;
  }
  return std::nullopt;
}

// The mask from before, if a runtime that tells its places has bound a thread to `now`.
std::optional<CpuSet> found_by_places(const CpuSet& now, std::vector<CpuSet> before,
                                      const Evidence& evidence) {
  for (const Places& places : evidence.places) {
    if (places.cpus <= now.count()) continue;
    if (std::ranges::find(places.all, now) == places.all.end()) continue;
    CpuSet together;
    for (const CpuSet& place : places.all) together |= place;
    before.push_back(together);
    // The mask with as many CPUs as the runtime found; if there is none, the likeliest.
    if (auto own = wider(before, now, places.cpus)) return own;
    if (auto own = wider(evidence.launched, now, places.cpus)) return own;
    if (auto own = wider(before, now)) return own;
  }
  return std::nullopt;
}

std::optional<CpuSet> set_of(const os::MainThreadMask& mask) {
  return mask.known ? parse_cpulist(mask.to_list()) : std::nullopt;
}

void watch_forks() {
  const auto in_child = [] {
    if (!os::is_confined()) at_fork = os::main_thread_mask();
  };
  os::at_fork(os::ForkRank::kThreadBinding, {.in_child = in_child});
}

// When the process began, in the kernel's ticks; as text, since we only compare it.
std::string start_time(const os::Machine& machine) {
  constexpr int kBefore = 20;  // fields after the name; proc(5) counts it as the 22nd of all
  const std::string stat = machine.read("/proc/self/stat").text;
  std::string_view rest = stat;
  // The name, in parentheses, may itself hold parentheses and blanks.
  rest.remove_prefix(std::min(rest.rfind(')'), rest.size()));
  for (int field = 0; field < kBefore; ++field) cut(rest, ' ');
  return std::string(cut(rest, ' '));
}

std::string process_name(const os::Machine& machine) {
  return std::to_string(::getpid()) + " " + start_time(machine) + " ";
}

Evidence gather(const os::Machine& machine) {
  Evidence evidence;
  const bool asked = !binding_request(machine).empty();
  for (std::size_t id = 0; id < pool_count(); ++id) {
    const Pool& pool = pool_at(id);
    if (pool.runtime->api != CW_API_OPENMP) continue;
    auto places = pool.runtime->places(pool).value_or(std::nullopt);
    if (!places) {
      evidence.late_binder = evidence.late_binder || asked;
    } else if (!places->all.empty()) {
      evidence.places.push_back(*std::move(places));
    }
  }
  if (evidence.places.empty() && !evidence.late_binder) return evidence;
  if (const auto start = set_of(at_start)) evidence.before.push_back(*start);
  evidence.before.push_back(masks_of_threads(machine));
  const std::string launched = machine.variable(kLaunched).value_or("");
  const std::string own = process_name(machine);
  if (launched.starts_with(own)) {
    if (const auto mask = parse_cpulist(launched.substr(own.size()))) {
      evidence.launched.push_back(*mask);
    }
  }
  if (const auto online = parse_cpulist(machine.read("/sys/devices/system/cpu/online").text)) {
    evidence.launched.push_back(*online);
  }
  return evidence;
}

// The last conclusion, from the point of view of the calling process.
std::optional<Conclusion> last_conclusion(const Evidence& evidence) {
  const Conclusion* last = concluded.load(std::memory_order_acquire);
  if (last == nullptr) return std::nullopt;
  const int self = ::getpid();
  Conclusion ours = *last;
  if (last->pid == self) return ours;
  // The main thread of a forked process is the one that forked, with its own mask.
  const CpuSet mask = set_of(at_fork).value_or(last->seen);
  if (mask != last->seen) {
    const Conclusion inherited{.seen = last->seen, .own = last->own};
    ours = conclude(mask, &inherited, evidence);
  }
  ours.pid = self;
  ours.forked = true;
  return ours;
}

}  // namespace

Conclusion conclude(const CpuSet& now, const Conclusion* last, const Evidence& evidence) {
  if (last != nullptr && now == last->seen) return *last;
  using By = Conclusion::By;
  Conclusion answer{.seen = now, .own = now};
  std::vector<CpuSet> before = evidence.before;
  if (last != nullptr) {
    const bool given_back = last->forked && last->bound == By::kLate && now == last->own;
    answer.pid = last->pid;
    answer.told_is_done = last->told_is_done || last->bound == By::kTold;
    answer.late_is_done = last->late_is_done || (last->bound == By::kLate && !given_back);
    before = {last->own};
  }
  if (!answer.told_is_done) {
    if (const auto own = found_by_places(now, before, evidence)) {
      answer.own = *own;
      answer.bound = By::kTold;
      return answer;
    }
  }
  if (last != nullptr && !is_narrower(now, last->seen)) return answer;
  const auto own = wider(before, now);
  if (!own || !evidence.late_binder || answer.late_is_done) return answer;
  answer.own = *own;
  answer.bound = By::kLate;
  return answer;
}

void remember_start() noexcept {
  at_start = os::main_thread_mask();
  watch_forks();
}

std::string launched_value(const os::Machine& machine) {
  return process_name(machine) + machine.affinity().value_or("");
}

bool may_bind(const os::Machine& machine) {
  const Conclusion* last = concluded.load(std::memory_order_acquire);
  if (last != nullptr && (last->is_bound() || last->told_is_done || last->late_is_done)) {
    return false;
  }
  return !binding_request(machine).empty();
}

std::optional<os::ProcessMask> own_mask(const os::Machine& machine, const std::string& now) {
  const auto mask = parse_cpulist(now);
  if (!mask || mask->empty()) return std::nullopt;
  watch_forks();
  const Conclusion* before = concluded.load(std::memory_order_acquire);
  if (before == nullptr || before->pid != ::getpid() || before->seen != *mask) {
    const Evidence evidence = gather(machine);
    const auto last = last_conclusion(evidence);
    Conclusion now_drawn = conclude(*mask, last ? &*last : nullptr, evidence);
    now_drawn.pid = ::getpid();
    const Conclusion* const fresh = kept(now_drawn);
    // If another thread was faster, it saw the same.
    if (concluded.compare_exchange_strong(before, fresh)) before = fresh;
  }
  return os::ProcessMask{before->own.to_list(), before->is_bound()};
}

}  // namespace thread_binding
}  // namespace corewise
