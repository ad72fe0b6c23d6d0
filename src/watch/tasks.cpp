#include "tasks.h"

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>

#include "base/text.h"

namespace corewise::observe {
namespace {

// Large enough for a thread's files; reading them allocates nothing.
struct Line {
  std::array<char, 1024> bytes;
  std::size_t size = 0;
  std::string_view text() const { return {bytes.data(), size}; }
};

void read_file(const std::string& path, Line& line) {
  line.size = 0;
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return;
  const ssize_t n = ::read(fd, line.bytes.data(), line.bytes.size());
  ::close(fd);
  if (n > 0) line.size = static_cast<std::size_t>(n);
}

std::uint64_t number(std::string_view text) {
  std::uint64_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

std::uint64_t ns_per_tick() {
  const long ticks = ::sysconf(_SC_CLK_TCK);
  return 1'000'000'000 / static_cast<std::uint64_t>(ticks > 0 ? ticks : 100);
}

// Reads each folder whose name is a number.
std::vector<Task> read_all(const std::string& folder, bool delays) {
  std::vector<Task> tasks;
  DIR* const list = ::opendir(folder.c_str());
  if (list == nullptr) return tasks;
  Line stat;
  Line schedstat;
  // NOLINTNEXTLINE(concurrency-mt-unsafe): nobody else reads this stream
  while (const dirent* entry = ::readdir(list)) {
    if (entry->d_name[0] < '0' || entry->d_name[0] > '9') continue;
    const std::string task_folder = folder + "/" + entry->d_name;
    read_file(task_folder + "/stat", stat);
    if (delays) read_file(task_folder + "/schedstat", schedstat);
    const Task task = parse_task(stat.text(), schedstat.text());
    if (task.tid != 0) tasks.push_back(task);
  }
  ::closedir(list);
  std::ranges::sort(tasks, {}, &Task::tid);
  return tasks;
}

}  // namespace

Task parse_task(std::string_view stat, std::string_view schedstat) {
  Task task;
  // The name, in parentheses, may hold anything.
  const std::size_t name = stat.rfind(") ");
  if (name == stat.npos || name + 2 >= stat.size()) return task;
  task.tid = static_cast<int>(number(stat));
  std::string_view rest = stat.substr(name + 2);
  std::uint64_t ticks = 0;
  for (int field = 3; field <= 22; ++field) {
    const std::string_view word = cut(rest, ' ');
    if (field == 3) task.state = word.empty() ? '?' : word.front();
    if (field == 4) task.parent = static_cast<int>(number(word));
    if (field == 14 || field == 15) ticks += number(word);
    if (field == 22) task.start = number(word);
  }
  if (schedstat.empty()) {
    task.cpu_ns = ticks * ns_per_tick();
    return task;
  }
  task.cpu_ns = number(cut(schedstat, ' '));
  task.delay_ns = number(cut(schedstat, ' '));
  return task;
}

std::vector<Task> read_tasks(const std::string& folder) { return read_all(folder + "/task", true); }

std::vector<Task> read_processes() { return read_all("/proc", false); }

}  // namespace corewise::observe
