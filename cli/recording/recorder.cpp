#include "recorder.h"

#include <fmt/format.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "base/clock.h"
#include "base/json.h"
#include "base/text.h"
#include "observe/sample_record.h"
#include "os/os.h"
#include "pools/known_library.h"
#include "reach/control_client.h"
#include "reach/kernel_view.h"
#include "reach/process_watch.h"
#include "recording.h"

namespace corewise::cli {
namespace {

// Looking for processes takes longer than looking at their threads.
constexpr double kSearchEvery_s = 0.1;
constexpr double kAskEvery_s = 0.3;
constexpr int kPatienceMs = 200;

std::string time_of_day() {
  const time_t now = ::time(nullptr);
  tm parts{};
  ::gmtime_r(&now, &parts);
  std::array<char, 32> text{};
  ::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%SZ", &parts);
  return text.data();
}

Json event(const char* name, double t) {
  Json json;
  json.open('{').field("event", name).field("t", t);
  return json;
}

// Whether this is the thread that answers on the control socket: it names itself.
bool is_ours(int pid, int tid) {
  const auto name = os::read_file(fmt::format("/proc/{}/task/{}/comm", pid, tid), 64);
  return name && trim(*name) == "corewise";
}

double rounded(double share) { return std::round(share * 100) / 100; }

}  // namespace

Recorder::Recorder(int root, bool itself, double interval_s, Write write)
    : root_(root), itself_(itself), interval_s_(interval_s), write_(std::move(write)) {}

double Recorder::now_s() const { return corewise::now_s() - begin_s_; }

void Recorder::begin(double budget, const std::string& command) {
  begin_s_ = corewise::now_s();
  Json json;
  json.open('{').field("event", "start").field("schema_version", 1).field("time", time_of_day());
  json.field("interval_s", interval_s_).field("budget", budget).field("command", command);
  write_(json.close('}').text());
}

void Recorder::find_processes() {
  const double now = now_s();
  if (searched_s_ >= 0 && now - searched_s_ < kSearchEvery_s) return;
  searched_s_ = now;
  const std::vector<observe::Task> all = observe::read_processes();
  std::set<int> family = {root_};
  // A child may come before its parent.
  for (std::size_t before = 0; before != family.size();) {
    before = family.size();
    for (const observe::Task& task : all) {
      if (family.contains(task.parent)) family.insert(task.tid);
    }
  }
  if (!itself_) family.erase(root_);
  for (const observe::Task& task : all) {
    // A process that has ended has no command any more.
    if (!family.contains(task.tid) || task.state == 'Z') continue;
    // exec makes a process another program.
    std::string command = command_of(task.tid);
    Process& process = processes_[task.tid];
    if (process.command == command) continue;
    Json json = event("process", now);
    json.field("pid", task.tid).field("parent", task.parent);
    write_(json.field("command", command).close('}').text());
    process.command = std::move(command);
  }
}

// Writes which pools the threads belong to, unless that is already written.
void Recorder::ask(int pid, Process& process) {
  const double now = now_s();
  if (!process.has_unknown || (process.asked_s >= 0 && now - process.asked_s < kAskEvery_s)) return;
  process.asked_s = now;
  const auto answer =
      ask_process(pid, {.command = control::Request::Command::kSample, .each = true}, kPatienceMs);
  if (!answer) return;
  const observe::Sample told = observe::read_sample(answer->value);
  for (const observe::SampledThread& thread : told.each.value_or(observe::Sample::Threads())) {
    const auto seen = threads_.find(thread.tid);
    const bool known = !thread.module.empty() || thread.tid == pid;
    if (seen == threads_.end() || seen->second.told || !known) continue;
    seen->second.told = true;
    Json json = event("thread", now);
    json.field("pid", pid).field("tid", thread.tid).key("pool");
    if (thread.pool && static_cast<std::size_t>(*thread.pool) < told.pools.size()) {
      const PoolFacts& pool = told.pools[static_cast<std::size_t>(*thread.pool)].facts;
      json.value(pool.runtime).field("library", file_name(pool.path));
    } else if (const char* library = known_library(thread.module)) {
      json.value(library).field("library", file_name(thread.module));
    } else {
      json.value(is_ours(pid, thread.tid) ? kOwnThreads : "program");
    }
    write_(json.close('}').text());
  }
}

bool Recorder::sample() {
  find_processes();
  const double now = now_s();
  const double seconds = now - last_s_;
  last_s_ = now;
  Json json = event("sample", now);
  json.field("dt", seconds).key("threads").open('[');
  bool any = false;
  int running = 0;
  for (auto process = processes_.begin(); process != processes_.end();) {
    const auto tasks = observe::read_tasks(fmt::format("/proc/{}", process->first));
    if (tasks.empty()) {
      write_(event("gone", now).field("pid", process->first).close('}').text());
      process = processes_.erase(process);
      continue;
    }
    any = true;
    process->second.has_unknown = false;
    for (const observe::Task& task : tasks) {
      if (task.state == 'R') ++running;
      Seen& seen = threads_[task.tid];
      const bool fresh = seen.start != task.start;
      if (fresh) seen = {task.start, 0, 0, false};
      process->second.has_unknown = process->second.has_unknown || !seen.told;
      // What a process did before we started is not ours to show.
      const bool counts = !fresh || task.cpu_ns < static_cast<std::uint64_t>(seconds * 1e9);
      const double cpu = static_cast<double>(task.cpu_ns - seen.cpu_ns) / (seconds * 1e9);
      const double delay = static_cast<double>(task.delay_ns - seen.delay_ns) / (seconds * 1e9);
      seen.cpu_ns = task.cpu_ns;
      seen.delay_ns = task.delay_ns;
      if (!counts || cpu + delay < 0.01) continue;
      json.open('[').value(process->first).value(task.tid);
      json.value(rounded(std::min(cpu, 1.0))).value(rounded(std::min(delay, 1.0))).close(']');
    }
    ask(process->first, process->second);
    ++process;
  }
  json.close(']');
  // Not counting this thread.
  if (const auto all = machine_ready()) json.field("others", std::max(0.0, *all - running - 1));
  write_(json.close('}').text());
  return any;
}

void Recorder::end() { write_(event("end", now_s()).close('}').text()); }

}  // namespace corewise::cli
