#include "process_watch.h"

#include <fmt/format.h>
#include <poll.h>

#include <algorithm>
#include <numeric>
#include <set>
#include <utility>

#include "base/clock.h"
#include "base/json.h"
#include "base/text.h"
#include "budget/budget.h"
#include "control/sockets.h"
#include "govern/ledger/ledger_identity.h"
#include "kernel_view.h"
#include "observe/sample_record.h"
#include "os/machine.h"
#include "os/os.h"
#include "process_name.h"
#include "shell/process_choice.h"

namespace corewise::cli {
namespace {

constexpr double kPatience_s = 0.5;

WatchedPool watched(const std::string& name, const std::string& path,
                    const observe::ThreadSum& workers) {
  WatchedPool pool;
  pool.runtime = name;
  pool.library = file_name(path);
  pool.name = name_with_package(name, path);
  pool.workers = workers.threads;
  pool.running = workers.running;
  pool.cpu_s = workers.cpu_s;
  pool.delay_s = workers.delay_s;
  return pool;
}

WatchedPool pool_of(const observe::SampledPool& sampled) {
  WatchedPool pool = watched(sampled.facts.runtime, sampled.facts.path, sampled.workers);
  pool.id = static_cast<int>(sampled.facts.id);
  pool.api = api_name(sampled.facts.api);
  pool.allowed = sampled.allowed.value_or(0);
  pool.limit = sampled.limit.value_or(0);
  pool.spinning = sampled.spinning;
  return pool;
}

// What the process itself says about its threads.
void take_answer(const Answer& answer, WatchedProcess& process) {
  const observe::Sample sample = observe::read_sample(answer.value);
  process.answers = true;
  process.sample = answer.text;
  process.time_s = sample.time_s;
  process.governed = sample.governed;
  process.threads = sample.all.threads;
  process.running = sample.all.running;
  process.cpu_s = sample.all.cpu_s;
  process.delay_s = sample.all.delay_s;
  if (sample.throttled) process.throttled_s = sample.throttled->seconds;
  for (const observe::SampledPool& pool : sample.pools) process.pools.push_back(pool_of(pool));
  for (const observe::SampledLibrary& library : sample.libraries) {
    process.libraries.push_back(watched(library.library, library.path, library.workers));
  }
}

// What the kernel says about its threads, for a process that does not answer.
void take_tasks(WatchedProcess& process) {
  const auto tasks = observe::read_tasks("/proc/" + std::to_string(process.pid));
  for (const observe::Task& task : tasks) {
    ++process.threads;
    if (task.state == 'R') ++process.running;
    process.cpu_s += 1e-9 * static_cast<double>(task.cpu_ns);
    process.delay_s += 1e-9 * static_cast<double>(task.delay_ns);
  }
}

// Threads that end take their time with them, so a sum may shrink.
template <class T>
void set_rate(const T& before, double seconds, T& now) {
  if (seconds <= 0) return;
  now.rate.cpu = std::max(0.0, now.cpu_s - before.cpu_s) / seconds;
  now.rate.delay = std::max(0.0, now.delay_s - before.delay_s) / seconds;
}

void set_rates(const View& before, View& now) {
  now.has_rates = true;
  for (WatchedProcess& process : now.processes) {
    const auto old = std::ranges::find(before.processes, process.pid, &WatchedProcess::pid);
    if (old == before.processes.end()) continue;
    const double seconds = process.time_s - old->time_s;
    set_rate(*old, seconds, process);
    for (WatchedPool& pool : process.pools) {
      const auto earlier = std::ranges::find(old->pools, pool.id, &WatchedPool::id);
      if (earlier != old->pools.end()) set_rate(*earlier, seconds, pool);
    }
    for (WatchedPool& one : process.libraries) {
      const auto earlier = std::ranges::find(old->libraries, one.library, &WatchedPool::library);
      if (earlier != old->libraries.end()) set_rate(*earlier, seconds, one);
    }
  }
  const double seconds = now.time_s - before.time_s;
  const double paused_s = now.throttled_s() - before.throttled_s();
  if (seconds > 0) now.throttled_share = std::clamp(paused_s / seconds, 0.0, 1.0);
}

// What the ledgers of this pid namespace granted, by pid. Adds the sums to the view.
std::map<int, int> read_grants(View& view) {
  std::map<int, int> granted;
  const std::string here = fmt::format(" pid:{} ", govern::pid_namespace());
  for (const govern::LedgerSnapshot& ledger : govern::read_ledgers()) {
    // In another namespace the same numbers are other processes.
    if (ledger.key.find(here) == std::string::npos) continue;
    bool used = false;
    for (const govern::LedgerEntry& entry : ledger.entries) {
      // A ledger outlives its processes.
      if (!is_there(static_cast<int>(entry.pid))) continue;
      used = true;
      granted[static_cast<int>(entry.pid)] += entry.tokens;
      view.granted += entry.tokens;
    }
    if (!used) continue;
    ++view.ledgers;
    view.ledger_budget += ledger.budget;
  }
  return granted;
}

}  // namespace

int View::running() const {
  return std::transform_reduce(processes.begin(), processes.end(), 0, std::plus<>(),
                               [](const WatchedProcess& process) { return process.running; });
}

double View::throttled_s() const {
  double most = 0;
  for (const WatchedProcess& process : processes) {
    most = std::max(most, process.throttled_s.value_or(0));
  }
  return most;
}

double View::ready() const {
  if (!has_rates) return running();
  return std::transform_reduce(
      processes.begin(), processes.end(), 0.0, std::plus<>(),
      [](const WatchedProcess& process) { return process.rate.cpu + process.rate.delay; });
}

double View::delayed() const {
  return std::transform_reduce(processes.begin(), processes.end(), 0.0, std::plus<>(),
                               [](const WatchedProcess& process) { return process.rate.delay; });
}

// Does not ask a process again while its answer is pending.
void ProcessWatch::ask(const std::set<int>& pids) {
  std::erase_if(asked_, [&](const auto& one) { return !pids.contains(one.first); });
  std::vector<pollfd> fresh;
  for (const int pid : pids) {
    if (asked_.contains(pid)) continue;
    auto question = std::make_unique<Question>(
        pid, control::Request{.command = control::Request::Command::kSample});
    if (question->fd() >= 0) fresh.push_back({question->fd(), POLLIN, 0});
    asked_.emplace(pid, std::move(question));
  }
  const double end_s = now_s() + kPatience_s;
  while (!fresh.empty()) {
    const int left = static_cast<int>(1000 * (end_s - now_s()));
    if (left <= 0 || ::poll(fresh.data(), fresh.size(), left) <= 0) return;
    std::erase_if(fresh, [](const pollfd& one) { return one.revents != 0; });
  }
}

void ProcessWatch::take_answers(View& view) {
  for (WatchedProcess& process : view.processes) {
    const auto asked = asked_.find(process.pid);
    if (asked == asked_.end()) continue;
    const auto answer = asked->second->take();
    if (!answer) process.silent_s = asked->second->age_s();
    if (answer && *answer) take_answer(**answer, process);
    if (answer) asked_.erase(asked);
  }
}

// The kernel's count is a snapshot: an average over several views says more.
void ProcessWatch::set_others(View& view) {
  constexpr double kWeight = 0.3;
  const auto all = machine_ready();
  if (!all) return;
  const double now = std::max(0.0, *all - 1 - view.running());
  others_ = others_ ? *others_ + kWeight * (now - *others_) : now;
  view.others_ready = others_;
}

// A name depends on the command and its environment, which only exec changes.
std::string ProcessWatch::name_now(const WatchedProcess& process) const {
  if (last_) {
    const auto old = std::ranges::find(last_->processes, process.pid, &WatchedProcess::pid);
    if (old != last_->processes.end() && old->command == process.command) return old->name;
  }
  return name_of_process(process.pid);
}

View ProcessWatch::next() {
  View view;
  if (const auto budget = compute_budget(os::LiveMachine())) view.budget = budget->cpus;
  std::map<int, int> granted = read_grants(view);
  const std::vector<int> served = control::served_pids();
  std::set<int> pids(served.begin(), served.end());
  for (const auto& [pid, tokens] : granted) pids.insert(pid);
  ask(pids);
  view.time_s = now_s();
  for (const int pid : pids) {
    WatchedProcess process;
    process.pid = pid;
    process.time_s = view.time_s;
    process.command = command_of(pid);
    process.name = name_now(process);
    process.stopped = is_stopped(pid);
    process.debugged = is_debugged(pid);
    if (granted.contains(pid)) process.granted = granted[pid];
    view.processes.push_back(std::move(process));
  }
  take_answers(view);
  for (WatchedProcess& process : view.processes) {
    if (!process.answers) take_tasks(process);
  }
  std::erase_if(view.processes, [](const WatchedProcess& one) { return one.threads == 0; });
  set_others(view);
  if (last_) set_rates(*last_, view);
  last_ = view;
  return view;
}

std::string view_json(const View& view) {
  Json json;
  json.open('{').field("schema_version", 1).field("time_s", view.time_s);
  json.field("budget", view.budget).field("running", view.running());
  json.field("ledger_budget", view.ledger_budget).field("granted", view.granted);
  json.field("ready", view.ready()).field("delayed", view.delayed()).key("others_ready");
  view.others_ready ? json.value(*view.others_ready) : json.null();
  json.key("processes").open('[');
  for (const WatchedProcess& process : view.processes) {
    json.open('{').field("pid", process.pid).field("command", process.command);
    json.field("name", process.name).field("answers", process.answers);
    json.field("stopped", process.stopped).field("silent_s", process.silent_s);
    json.field("governed", process.governed).key("granted");
    process.granted ? json.value(*process.granted) : json.null();
    json.field("threads", process.threads).field("running", process.running);
    json.field("cpus_used", process.rate.cpu).field("threads_delayed", process.rate.delay);
    json.key("sample");
    process.sample.empty() ? json.null() : json.raw(process.sample);
    json.close('}');
  }
  return json.close(']').close('}').text() + "\n";
}

}  // namespace corewise::cli
