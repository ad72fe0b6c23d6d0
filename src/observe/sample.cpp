#include "sample.h"

#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <map>
#include <mutex>
#include <optional>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/text.h"
#include "budget/budget.h"
#include "budget/thread_binding.h"
#include "govern/govern.h"
#include "govern/grants/gate.h"
#include "govern/own_budget.h"
#include "limits/limit.h"
#include "os/fork.h"
#include "os/machine.h"
#include "pools/discover.h"
#include "pools/known_library.h"
#include "tasks.h"
#include "thread_origin.h"

namespace corewise::observe {
namespace {

constexpr int kNoPool = -1;
// When we first see a thread, it may not be in glibc's list of threads yet.
constexpr int kMostTries = 3;

// Where a thread comes from.
struct OriginOfThread {
  std::uint64_t start = 0;
  int pool = kNoPool;
  std::string module;  // the file in which it began; empty: not known
  int tries = 0;
};

struct Group {
  int threads = 0;
  int running = 0;
  std::uint64_t cpu_ns = 0;
  std::uint64_t delay_ns = 0;

  void add(const Task& task) {
    ++threads;
    if (task.state == 'R') ++running;
    cpu_ns += task.cpu_ns;
    delay_ns += task.delay_ns;
  }
};

struct Sampler {
  os::ForkLock& lock = os::fork_lock(os::ForkRank::kSampler);
  std::unordered_map<int, OriginOfThread> origins;
  std::optional<Budget> budget;
  // The environment at the start of the process: another thread may change the current one while we
  // read it.
  std::vector<std::string> environment;
};

// Never destroyed: a thread of ours may use it while the process exits.
Sampler& sampler() {
  static auto* const kMade = [] {
    auto* made = new Sampler;
    if (auto text = os::read_file("/proc/self/environ")) {
      for (std::string_view rest = *text; !rest.empty();) {
        made->environment.emplace_back(cut(rest, '\0'));
      }
    }
    return made;
  }();
  return *kMade;
}

// Whether threads that begin in the pool's module are its workers: not if the runtime is only a
// part of a larger library or program, nor if it runs on the threads of another.
bool has_workers(const Pool& pool) {
  if (pool.runtime->shares_threads || pool.layer == "openmp") return false;
  const std::string_view file = file_name(pool.path);
  return std::ranges::any_of(pool.runtime->prefixes,
                             [&](const char* prefix) { return file.starts_with(prefix); });
}

void attribute(std::uintptr_t function, const std::vector<os::LoadedModule>& all,
               OriginOfThread& origin) {
  for (const os::LoadedModule& module : all) {
    if (!module.contains(function)) continue;
    origin.module = module.path.empty() ? "/proc/self/exe" : module.path;
    for (std::size_t id = 0; id < pool_count(); ++id) {
      const Pool& pool = pool_at(id);
      if (pool.base == module.base && has_workers(pool)) origin.pool = static_cast<int>(id);
    }
    return;
  }
}

// Looks up threads that were not there before, and a few times those whose module is not known yet.
void learn_origins(Sampler& s, const std::vector<Task>& tasks) {
  std::unordered_map<int, OriginOfThread> known;
  std::vector<int> fresh;
  for (const Task& task : tasks) {
    const auto at = s.origins.find(task.tid);
    OriginOfThread origin;
    if (at != s.origins.end() && at->second.start == task.start) origin = std::move(at->second);
    origin.start = task.start;
    if (task.tid == ::getpid()) origin.tries = kMostTries;
    if (origin.module.empty() && origin.tries++ < kMostTries) fresh.push_back(task.tid);
    known[task.tid] = std::move(origin);
  }
  s.origins = std::move(known);
  if (fresh.empty()) return;
  const auto functions = thread_origins();
  const std::vector<os::LoadedModule> all = modules();
  for (const int tid : fresh) {
    const auto at = functions.find(tid);
    if (at != functions.end()) attribute(at->second, all, s.origins[tid]);
  }
}

ThreadSum sum_of(const Group& group) {
  return {group.threads, group.running, 1e-9 * static_cast<double>(group.cpu_ns),
          1e-9 * static_cast<double>(group.delay_ns)};
}

std::optional<Sample::OwnCpus> own_cpus(Sampler& s) {
  const Own<os::ProcessMachine> machine("/proc/self", s.environment, true);
  if (!s.budget || budget_changed(*s.budget, machine)) {
    s.budget.reset();
    if (auto found = compute_budget(machine)) s.budget = std::move(*found);
  }
  if (!s.budget) return std::nullopt;
  return Sample::OwnCpus{s.budget->cpus, govern::own_budget(*s.budget, machine).threads};
}

// For the cgroup that held the process back longest, among those that may.
std::optional<Sample::Throttling> longest_throttling(const Sampler& s) {
  std::optional<Sample::Throttling> most;
  for (const Watched& watched : s.budget ? s.budget->watched : std::vector<Watched>()) {
    const std::string_view path = watched.path;
    if (!path.ends_with("/cpu.max") && !path.ends_with("/cpu.cfs_quota_us")) continue;
    const auto text =
        os::read_file(std::string(path.substr(0, path.rfind('/'))) + "/cpu.stat", 4096);
    if (!text) continue;
    Sample::Throttling seen;
    bool told = false;
    for (std::string_view rest = *text; !rest.empty();) {
      std::string_view line = cut(rest, '\n');
      const std::string_view key = cut(line, ' ');
      const std::int64_t number = parse_integer(line).value_or(0);
      if (key == "nr_periods") seen.periods = number;
      if (key == "nr_throttled") seen.throttled = number;
      if (key == "throttled_usec" || key == "throttled_time") {
        told = true;
        seen.seconds = (key == "throttled_usec" ? 1e-6 : 1e-9) * static_cast<double>(number);
      }
    }
    if (told && (!most || seen.seconds > most->seconds)) most = seen;
  }
  return most;
}

std::optional<Sample::LedgerUse> ledger_use() {
  const auto ledger = govern::ledger_now();
  if (!ledger) return std::nullopt;
  Sample::LedgerUse use{ledger->budget, 0, 0, static_cast<int>(ledger->entries.size()),
                        ledger->key};
  for (const govern::LedgerEntry& entry : ledger->entries) {
    use.granted += entry.tokens;
    if (entry.pid == static_cast<std::uint32_t>(::getpid())) use.own += entry.tokens;
  }
  return use;
}

struct Groups {
  std::vector<Group> pools;
  std::map<std::string, Group> libraries;  // by path; part of the program's
  Group all, program, unknown;
};

Groups group(const Sampler& s, const std::vector<Task>& tasks) {
  Groups groups;
  groups.pools.resize(pool_count());
  for (const Task& task : tasks) {
    groups.all.add(task);
    const OriginOfThread& origin = s.origins.at(task.tid);
    if (origin.pool != kNoPool) {
      groups.pools[static_cast<std::size_t>(origin.pool)].add(task);
    } else if (!origin.module.empty() || task.tid == ::getpid()) {
      groups.program.add(task);
      if (known_library(origin.module) != nullptr) groups.libraries[origin.module].add(task);
    } else {
      groups.unknown.add(task);
    }
  }
  return groups;
}

// `idle`: certainly no thread was in a region or call, so workers that ran did so for nothing.
std::vector<SampledPool> sampled_pools(const Groups& groups, bool idle) {
  const std::vector<govern::Capped> caps = govern::caps();
  const std::vector<int> limited = limited_counts();
  std::vector<SampledPool> pools;
  for (std::size_t id = 0; id < groups.pools.size(); ++id) {
    const Pool& pool = pool_at(id);
    const int threads = pool.threads().value_or(0);
    const auto cap = std::ranges::find(caps, pool.id, &govern::Capped::pool);
    SampledPool& sampled = pools.emplace_back();
    sampled.facts = facts_of(pool, threads);
    if (cap != caps.end() && cap->finding.empty()) sampled.limit = cap->most;
    if (id < limited.size() && limited[id] > 0) sampled.limited = limited[id];
    if (threads > 0) sampled.allowed = std::min(threads, sampled.limit.value_or(threads));
    sampled.workers = sum_of(groups.pools[id]);
    if (idle) sampled.spinning = groups.pools[id].running;
  }
  return pools;
}

std::vector<SampledLibrary> sampled_libraries(const Groups& groups) {
  std::vector<SampledLibrary> libraries;
  for (const auto& [path, group] : groups.libraries) {
    libraries.push_back({known_library(path), path, sum_of(group)});
  }
  return libraries;
}

std::vector<SampledThread> sampled_threads(const Sampler& s, const std::vector<Task>& tasks) {
  std::vector<SampledThread> threads;
  for (const Task& task : tasks) {
    const OriginOfThread& origin = s.origins.at(task.tid);
    SampledThread& thread = threads.emplace_back();
    thread.tid = task.tid;
    thread.start = task.start;
    thread.state = task.state;
    if (origin.pool != kNoPool) thread.pool = origin.pool;
    thread.module = origin.module;
    thread.cpu_s = 1e-9 * static_cast<double>(task.cpu_ns);
    thread.delay_s = 1e-9 * static_cast<double>(task.delay_ns);
  }
  return threads;
}

struct Seen {
  std::vector<Task> tasks;
  bool idle = false;  // certainly no thread was in a region or call
};

Seen read_own_tasks() {
  const bool gated = govern::gate::is_open();
  const govern::gate::Tally before = govern::gate::tally();
  const bool idle_before = !govern::gate::is_busy();
  Seen seen{read_tasks("/proc/self"), false};
  const govern::gate::Tally after = govern::gate::tally();
  seen.idle = gated && idle_before && !govern::gate::is_busy() &&
              before.regions + before.calls == after.regions + after.calls;
  // The thread that reads would always be seen running.
  const auto reader = std::ranges::find(seen.tasks, os::own_thread_id(), &Task::tid);
  if (reader != seen.tasks.end()) reader->state = 'S';
  return seen;
}

// Empty if a thread was inside, or if we do not know.
std::vector<int> workers_that_run() {
  Sampler& s = sampler();
  const std::lock_guard guard(s.lock);
  const auto [tasks, idle] = read_own_tasks();
  if (!idle) return {};
  learn_origins(s, tasks);
  std::vector<int> running;
  for (const Group& pool : group(s, tasks).pools) running.push_back(pool.running);
  return running;
}

}  // namespace

Sample take_sample(bool each) {
  // The sampler, often in a thread of its own, is not the thread whose count is meant.
  const OwnThread observer;
  synchronise();
  Sampler& s = sampler();
  const std::lock_guard guard(s.lock);
  const auto [tasks, idle] = read_own_tasks();
  learn_origins(s, tasks);
  const Groups groups = group(s, tasks);

  Sample sample;
  sample.pid = ::getpid();
  sample.time_s = 1e-9 * static_cast<double>(now_ns());
  sample.governed = govern::is_governed();
  sample.budget = own_cpus(s);
  sample.ledger = ledger_use();
  sample.throttled = longest_throttling(s);
  sample.all = sum_of(groups.all);
  sample.pools = sampled_pools(groups, idle);
  sample.libraries = sampled_libraries(groups);
  sample.program = sum_of(groups.program);
  sample.unknown = sum_of(groups.unknown);
  if (each) sample.each = sampled_threads(s, tasks);
  return sample;
}

std::vector<int> spinning_workers() {
  constexpr timespec kPause{0, 100'000'000};
  std::vector<int> running = workers_that_run();
  if (std::ranges::all_of(running, [](int count) { return count == 0; })) return running;
  ::nanosleep(&kPause, nullptr);
  const std::vector<int> again = workers_that_run();
  running.resize(std::min(running.size(), again.size()));
  for (std::size_t id = 0; id < running.size(); ++id)
    running[id] = std::min(running[id], again[id]);
  return running;
}

}  // namespace corewise::observe
