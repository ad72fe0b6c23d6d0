#include "node_watch.h"

#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <numeric>
#include <optional>
#include <thread>

#include "base/clock.h"
#include "base/json.h"
#include "govern/ledger/ledger_shm.h"
#include "observe/tasks.h"
#include "os/os.h"
#include "process_name.h"

namespace corewise::cli {
namespace {

// Less is a process that idles.
constexpr double kBusy = 0.05;

std::string folder_of(int pid) { return "/proc/" + std::to_string(pid); }

std::string user_name(unsigned user) {
  const passwd* const known = ::getpwuid(user);  // NOLINT(concurrency-mt-unsafe): one thread
  return known != nullptr ? known->pw_name : std::to_string(user);
}

// Its maps are its user's and root's to read. Whoever only imports corewise has no ledger.
BusyProcess::Governed is_governed(const BusyProcess& process) {
  const auto maps = os::read_file(folder_of(process.pid) + "/maps");
  if (!maps || maps->empty()) return BusyProcess::Governed::unknown;
  const bool has = maps->find("/" + govern::ledger_prefix(process.user)) != maps->npos;
  return has ? BusyProcess::Governed::yes : BusyProcess::Governed::no;
}

template <class Range>
double sum_ready(const Range& range) {
  return std::transform_reduce(range.begin(), range.end(), 0.0, std::plus<>(),
                               [](const auto& one) { return one.ready(); });
}

}  // namespace

double NodeView::ready() const { return sum_ready(users); }

NodeReading read_node() {
  NodeReading reading;
  reading.time_s = now_s();
  for (const observe::Task& main : observe::read_processes()) {
    struct stat info{};
    if (main.tid == ::getpid() || ::stat(folder_of(main.tid).c_str(), &info) != 0) continue;
    NodeProcess process{.pid = main.tid, .user = info.st_uid};
    for (const observe::Task& task : observe::read_tasks(folder_of(main.tid))) {
      ++process.threads;
      process.cpu_s += 1e-9 * static_cast<double>(task.cpu_ns);
      process.delay_s += 1e-9 * static_cast<double>(task.delay_ns);
    }
    reading.processes.emplace(process.pid, process);
  }
  return reading;
}

std::vector<BusyUser> busy_users(const NodeReading& before, const NodeReading& now) {
  std::map<unsigned, BusyUser> users;
  const double seconds = now.time_s - before.time_s;
  for (const auto& [pid, process] : now.processes) {
    const auto old = before.processes.find(pid);
    if (seconds <= 0 || old == before.processes.end()) continue;
    // Threads that end take their time with them, so a sum may shrink.
    BusyProcess busy{.pid = pid, .user = process.user, .threads = process.threads, .name = {}};
    busy.cpu = std::max(0.0, process.cpu_s - old->second.cpu_s) / seconds;
    busy.delay = std::max(0.0, process.delay_s - old->second.delay_s) / seconds;
    if (busy.ready() < kBusy) continue;
    BusyUser& user = users[process.user];
    user.user = process.user;
    user.cpu += busy.cpu;
    user.delay += busy.delay;
    user.processes.push_back(std::move(busy));
  }
  std::vector<BusyUser> sorted;
  for (auto& [id, user] : users) {
    std::ranges::sort(user.processes, std::greater<>(), &BusyProcess::ready);
    sorted.push_back(std::move(user));
  }
  std::ranges::sort(sorted, std::greater<>(), &BusyUser::ready);
  return sorted;
}

NodeView watch_node(int interval_ms) {
  NodeView view;
  view.cpus = static_cast<int>(::sysconf(_SC_NPROCESSORS_ONLN));
  view.is_root = ::geteuid() == 0;
  // Under hidepid even the first process is not there, or is empty.
  view.hides = !view.is_root && !os::read_file("/proc/1/stat");
  const NodeReading before = read_node();
  std::this_thread::sleep_for(std::chrono::milliseconds(interval_ms));
  view.users = busy_users(before, read_node());
  for (BusyUser& user : view.users) {
    user.name = user_name(user.user);
    for (BusyProcess& process : user.processes) {
      process.name = name_of_process(process.pid);
      process.governed = is_governed(process);
    }
  }
  return view;
}

std::string node_json(const NodeView& view) {
  Json json;
  json.open('{').field("schema_version", 1).field("cpus", view.cpus);
  json.field("ready", view.ready()).field("hidden", view.hides).key("users").open('[');
  for (const BusyUser& user : view.users) {
    json.open('{').field("user", static_cast<std::uint64_t>(user.user)).field("name", user.name);
    json.field("cpus_used", user.cpu).field("threads_delayed", user.delay);
    json.key("processes").open('[');
    for (const BusyProcess& process : user.processes) {
      json.open('{').field("pid", process.pid).field("name", process.name);
      json.field("threads", process.threads).field("cpus_used", process.cpu);
      json.field("threads_delayed", process.delay).key("governed");
      if (process.governed == BusyProcess::Governed::unknown) {
        json.null();
      } else {
        json.value(process.governed == BusyProcess::Governed::yes);
      }
      json.close('}');
    }
    json.close(']').close('}');
  }
  return json.close(']').close('}').text() + "\n";
}

}  // namespace corewise::cli
