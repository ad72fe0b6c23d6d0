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

#include "base/json.h"
#include "base/text.h"
#include "budget/binding.h"
#include "budget/budget.h"
#include "govern/govern.h"
#include "govern/grants/gate.h"
#include "govern/own_budget.h"
#include "known_library.h"
#include "limits/limit.h"
#include "os/fork.h"
#include "os/machine.h"
#include "pools/discover.h"
#include "pools/format.h"
#include "tasks.h"
#include "thread_origin.h"

namespace corewise::observe {
namespace {

constexpr int kNoPool = -1;
// When we first see a thread, it may not be in glibc's list of threads yet.
constexpr int kMostLooks = 3;

// Where a thread comes from.
struct OriginOfThread {
  std::uint64_t start = 0;
  int pool = kNoPool;
  std::string module;  // the file in which it began; empty: not known
  int looks = 0;
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
  std::mutex& lock = os::fork_lock(os::ForkRank::kSampler);
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

double now_s() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
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
    if (task.tid == ::getpid()) origin.looks = kMostLooks;
    if (origin.module.empty() && origin.looks++ < kMostLooks) fresh.push_back(task.tid);
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

void write_group(Json& json, const Group& group) {
  json.field("running", group.running).field("waiting", group.threads - group.running);
  json.field("cpu_s", 1e-9 * static_cast<double>(group.cpu_ns));
  json.field("delay_s", 1e-9 * static_cast<double>(group.delay_ns));
}

void write_budget(Json& json, Sampler& s) {
  const Own<os::ProcessMachine> machine("/proc/self", s.environment, true);
  if (!s.budget || budget_changed(*s.budget, machine)) {
    s.budget.reset();
    if (auto found = compute_budget(machine)) s.budget = std::move(*found);
  }
  json.key("budget");
  if (!s.budget) return void(json.null());
  json.open('{').field("cpus", s.budget->cpus);
  json.field("threads", govern::own_budget(*s.budget, machine).threads).close('}');
}

// For the cgroup that held the process back longest, among those that may.
void write_throttled(Json& json, const Sampler& s) {
  struct Throttling {
    std::int64_t periods = 0, throttled = 0;
    double seconds = -1;
  } most;
  for (const Watched& watched : s.budget ? s.budget->watched : std::vector<Watched>()) {
    const std::string_view path = watched.path;
    if (!path.ends_with("/cpu.max") && !path.ends_with("/cpu.cfs_quota_us")) continue;
    const auto text =
        os::read_file(std::string(path.substr(0, path.rfind('/'))) + "/cpu.stat", 4096);
    if (!text) continue;
    Throttling seen;
    for (std::string_view rest = *text; !rest.empty();) {
      std::string_view line = cut(rest, '\n');
      const std::string_view key = cut(line, ' ');
      const std::int64_t number = parse_integer(line).value_or(0);
      if (key == "nr_periods") seen.periods = number;
      if (key == "nr_throttled") seen.throttled = number;
      if (key == "throttled_usec") seen.seconds = 1e-6 * static_cast<double>(number);
      if (key == "throttled_time") seen.seconds = 1e-9 * static_cast<double>(number);
    }
    if (seen.seconds > most.seconds) most = seen;
  }
  json.key("throttled");
  if (most.seconds < 0) return void(json.null());
  json.open('{').field("periods", most.periods).field("throttled", most.throttled);
  json.field("seconds", most.seconds).close('}');
}

void write_ledger(Json& json) {
  const auto ledger = govern::ledger_now();
  json.key("ledger");
  if (!ledger) return void(json.null());
  int granted = 0;
  int own = 0;
  for (const govern::LedgerEntry& entry : ledger->entries) {
    granted += entry.tokens;
    if (entry.pid == static_cast<std::uint32_t>(::getpid())) own += entry.tokens;
  }
  json.open('{').field("budget", ledger->budget).field("granted", granted).field("own", own);
  json.field("processes", static_cast<std::uint64_t>(ledger->entries.size()));
  json.field("key", ledger->key).close('}');
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
void write_pools(Json& json, const Groups& groups, bool idle) {
  const std::vector<govern::Capped> caps = govern::caps();
  const std::vector<int> limited = limited_counts();
  json.key("pools").open('[');
  for (std::size_t id = 0; id < groups.pools.size(); ++id) {
    const Pool& pool = pool_at(id);
    const int threads = pool.threads().value_or(0);
    const auto cap = std::ranges::find(caps, pool.id, &govern::Capped::pool);
    const bool holds = cap != caps.end() && cap->finding.empty();
    json.open('{');
    write_pool(json, pool, threads);
    json.key("limit");
    holds ? json.value(cap->most) : json.null();
    json.key("limited");
    id < limited.size() && limited[id] > 0 ? json.value(limited[id]) : json.null();
    json.key("allowed");
    if (threads < 1) {
      json.null();
    } else {
      json.value(holds ? std::min(threads, cap->most) : threads);
    }
    const Group& group = groups.pools[id];
    json.field("workers", group.threads);
    write_group(json, group);
    json.key("spinning");
    idle ? json.value(group.running) : json.null();
    json.close('}');
  }
  json.close(']');
}

void write_group(Json& json, const char* key, const Group& group) {
  json.key(key).open('{').field("total", group.threads);
  write_group(json, group);
  json.close('}');
}

void write_libraries(Json& json, const Groups& groups) {
  json.key("libraries").open('[');
  for (const auto& [path, group] : groups.libraries) {
    json.open('{').field("library", known_library(path)).field("path", path);
    json.field("workers", group.threads);
    write_group(json, group);
    json.close('}');
  }
  json.close(']');
}

void write_each(Json& json, const Sampler& s, const std::vector<Task>& tasks) {
  json.key("each").open('[');
  for (const Task& task : tasks) {
    const OriginOfThread& origin = s.origins.at(task.tid);
    json.open('{').field("tid", task.tid).field("start", task.start);
    json.field("state", std::string_view(&task.state, 1)).key("pool");
    origin.pool != kNoPool ? json.value(origin.pool) : json.null();
    json.key("module");
    origin.module.empty() ? json.null() : json.value(origin.module);
    json.field("cpu_s", 1e-9 * static_cast<double>(task.cpu_ns));
    json.field("delay_s", 1e-9 * static_cast<double>(task.delay_ns)).close('}');
  }
  json.close(']');
}

struct Seen {
  std::vector<Task> tasks;
  bool idle = false;  // certainly no thread was in a region or call
};

Seen look_at_tasks() {
  const bool gated = govern::gate::is_open();
  const govern::gate::Counts before = govern::gate::counts();
  const bool idle_before = !govern::gate::is_busy();
  Seen seen{read_tasks("/proc/self"), false};
  const govern::gate::Counts after = govern::gate::counts();
  seen.idle = gated && idle_before && !govern::gate::is_busy() &&
              before.regions + before.calls == after.regions + after.calls;
  // The thread that looks would always be seen running.
  const auto looker = std::ranges::find(seen.tasks, ::gettid(), &Task::tid);
  if (looker != seen.tasks.end()) looker->state = 'S';
  return seen;
}

// Empty if a thread was inside, or if we do not know.
std::vector<int> workers_that_run() {
  Sampler& s = sampler();
  const std::lock_guard guard(s.lock);
  const auto [tasks, idle] = look_at_tasks();
  if (!idle) return {};
  learn_origins(s, tasks);
  std::vector<int> running;
  for (const Group& pool : group(s, tasks).pools) running.push_back(pool.running);
  return running;
}

}  // namespace

std::string sample_json(bool each) {
  synchronise();
  Sampler& s = sampler();
  const std::lock_guard guard(s.lock);
  const auto [tasks, idle] = look_at_tasks();
  learn_origins(s, tasks);
  const Groups groups = group(s, tasks);

  Json json;
  json.open('{').field("schema_version", 1).field("pid", static_cast<int>(::getpid()));
  json.field("time_s", now_s()).field("governed", govern::is_governed());
  write_budget(json, s);
  write_ledger(json);
  write_throttled(json, s);
  write_group(json, "threads", groups.all);
  write_pools(json, groups, idle);
  write_libraries(json, groups);
  write_group(json, "program", groups.program);
  write_group(json, "unknown", groups.unknown);
  if (each) write_each(json, s, tasks);
  json.close('}');
  return json.text();
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
