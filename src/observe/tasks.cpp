#include "tasks.h"

#include <unistd.h>

#include <algorithm>
#include <array>

#include "base/text.h"
#include "os/os.h"

namespace corewise::observe {
namespace {

std::uint64_t ns_per_tick() {
  const long ticks = ::sysconf(_SC_CLK_TCK);
  return 1'000'000'000 / static_cast<std::uint64_t>(ticks > 0 ? ticks : 100);
}

// Reads each folder whose name is a number.
std::vector<Task> read_all(const std::string& folder, bool delays) {
  // Large enough for a thread's files.
  std::array<char, 1024> stat;
  std::array<char, 1024> schedstat;
  std::vector<Task> tasks;
  for (const std::string& name : os::names_in(folder)) {
    if (name.front() < '0' || name.front() > '9') continue;
    const std::string task_folder = folder + "/" + name;
    const std::string_view times =
        delays ? os::read_into((task_folder + "/schedstat").c_str(), schedstat) : "";
    const Task task = parse_task(os::read_into((task_folder + "/stat").c_str(), stat), times);
    if (task.tid != 0) tasks.push_back(task);
  }
  std::ranges::sort(tasks, {}, &Task::tid);
  return tasks;
}

}  // namespace

Task parse_task(std::string_view stat, std::string_view schedstat) {
  Task task;
  // The name, in parentheses, may hold anything.
  const std::size_t name = stat.rfind(") ");
  if (name == stat.npos || name + 2 >= stat.size()) return task;
  task.tid = static_cast<int>(leading_number(stat));
  std::string_view rest = stat.substr(name + 2);
  std::uint64_t ticks = 0;
  for (int field = 3; field <= 22; ++field) {
    const std::string_view word = cut(rest, ' ');
    if (field == 3) task.state = word.empty() ? '?' : word.front();
    if (field == 4) task.parent = static_cast<int>(leading_number(word));
    if (field == 14 || field == 15) ticks += leading_number(word);
    if (field == 22) task.start = leading_number(word);
  }
  // A kernel that does not count writes zeros, or has no such file.
  const std::uint64_t on_cpu = leading_number(cut(schedstat, ' '));
  task.cpu_ns = on_cpu > 0 ? on_cpu : ticks * ns_per_tick();
  task.delay_ns = leading_number(cut(schedstat, ' '));
  return task;
}

std::vector<Task> read_tasks(const std::string& folder) { return read_all(folder + "/task", true); }

std::vector<Task> read_processes() { return read_all("/proc", false); }

}  // namespace corewise::observe
