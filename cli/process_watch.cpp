#include "process_watch.h"

#include <fmt/format.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <numeric>
#include <set>
#include <utility>

#include "budget.h"
#include "control/sockets.h"
#include "control_client.h"
#include "govern/ledger_identity.h"
#include "json.h"
#include "os/machine.h"
#include "os/os.h"
#include "text.h"

namespace corewise::cli {
namespace {

// A process that is stopped must not hold up the others.
constexpr int kPatienceMs = 500;

WatchedPool pool_of(const JsonValue& from) {
  WatchedPool pool;
  const std::string path = from.text_at("path");
  pool.id = static_cast<int>(from.number_at("id"));
  pool.api = from.text_at("api");
  pool.runtime = from.text_at("runtime");
  pool.library = file_name(path);
  pool.allowed = static_cast<int>(from.number_at("allowed"));
  pool.limit = static_cast<int>(from.number_at("limit"));
  pool.workers = static_cast<int>(from.number_at("workers"));
  pool.running = static_cast<int>(from.number_at("running"));
  const double spinning = from.number_at("spinning", -1);
  if (spinning >= 0) pool.spinning = static_cast<int>(spinning);
  pool.cpu_s = from.number_at("cpu_s");
  pool.delay_s = from.number_at("delay_s");
  return pool;
}

// What the process itself says of its threads.
void take_answer(const Answer& answer, WatchedProcess& process) {
  process.answers = true;
  process.sample = answer.text;
  process.governed = answer.value.truth_at("governed");
  if (const JsonValue* threads = answer.value.find("threads")) {
    process.threads = static_cast<int>(threads->number_at("total"));
    process.running = static_cast<int>(threads->number_at("running"));
    process.cpu_s = threads->number_at("cpu_s");
    process.delay_s = threads->number_at("delay_s");
  }
  if (const JsonValue* throttled = answer.value.find("throttled")) {
    if (throttled->kind == JsonValue::Kind::kObject) {
      process.throttled_s = throttled->number_at("seconds");
    }
  }
  for (const JsonValue& pool : answer.value.items_at("pools")) {
    process.pools.push_back(pool_of(pool));
  }
}

// What the kernel says of them, for a process that does not answer.
bool take_tasks(WatchedProcess& process) {
  const auto tasks = observe::read_tasks("/proc/" + std::to_string(process.pid));
  for (const observe::Task& task : tasks) {
    ++process.threads;
    if (task.state == 'R') ++process.running;
    process.cpu_s += 1e-9 * static_cast<double>(task.cpu_ns);
    process.delay_s += 1e-9 * static_cast<double>(task.delay_ns);
  }
  return !tasks.empty();
}

// Threads that ended took their time with them.
template <class T>
void set_rate(const T& before, double seconds, T& now) {
  if (seconds <= 0) return;
  now.rate.cpu = std::max(0.0, now.cpu_s - before.cpu_s) / seconds;
  now.rate.delay = std::max(0.0, now.delay_s - before.delay_s) / seconds;
}

void set_rates(const View& before, View& now) {
  const double seconds = now.time_s - before.time_s;
  for (WatchedProcess& process : now.processes) {
    const auto old = std::ranges::find(before.processes, process.pid, &WatchedProcess::pid);
    if (old == before.processes.end()) continue;
    set_rate(*old, seconds, process);
    for (WatchedPool& pool : process.pools) {
      const auto earlier = std::ranges::find(old->pools, pool.id, &WatchedPool::id);
      if (earlier != old->pools.end()) set_rate(*earlier, seconds, pool);
    }
  }
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

View ProcessWatch::look() {
  View view;
  view.time_s = monotonic_s();
  if (const auto budget = compute_budget(os::LiveMachine())) view.budget = budget->cpus;
  std::map<int, int> granted;  // by pid
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
    if (used) view.ledger_budget += ledger.budget;
  }
  const std::vector<int> served = control::served_pids();
  std::set<int> pids(served.begin(), served.end());
  for (const auto& [pid, tokens] : granted) pids.insert(pid);
  for (const int pid : pids) {
    WatchedProcess process;
    process.pid = pid;
    process.command = command_of(pid);
    const auto answer = ask_process(pid, "{\"request\":\"sample\"}", kPatienceMs);
    if (answer) take_answer(*answer, process);
    if (!answer && !take_tasks(process)) continue;
    if (granted.contains(pid)) process.granted = granted[pid];
    view.processes.push_back(std::move(process));
  }
  if (last_) set_rates(*last_, view);
  last_ = view;
  return view;
}

std::string view_json(const View& view) {
  Json json;
  json.open('{').field("schema_version", 1).field("time_s", view.time_s);
  json.field("budget", view.budget).field("running", view.running());
  json.field("ledger_budget", view.ledger_budget).field("granted", view.granted);
  json.key("processes").open('[');
  for (const WatchedProcess& process : view.processes) {
    json.open('{').field("pid", process.pid).field("command", process.command);
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

bool is_there(int pid) { return ::access(fmt::format("/proc/{}", pid).c_str(), F_OK) == 0; }

std::string command_of(int pid) {
  const std::string folder = "/proc/" + std::to_string(pid);
  auto text = os::read_file(folder + "/cmdline", 4096);
  if (!text || text->empty()) text = os::read_file(folder + "/comm", 4096);
  if (!text) return "?";
  while (!text->empty() && (text->back() == '\0' || text->back() == '\n')) text->pop_back();
  std::ranges::replace(*text, '\0', ' ');
  return *text;
}

double monotonic_s() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

}  // namespace corewise::cli
