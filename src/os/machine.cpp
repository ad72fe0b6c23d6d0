// Reads the machine with plain system calls; Linux, live or recorded. See machine.h.
#include "machine.h"

#include <fcntl.h>
#include <sched.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

namespace corewise::os {
namespace {

// Far above any file read here: the mount table of a container host is the longest.
constexpr std::size_t kMostBytes = std::size_t{16} << 20;

// As many CPUs as any kernel can be built for.
constexpr std::size_t kMostCpus = 8192;

FileText unreadable(int error) {
  return {FileText::State::kUnreadable, std::generic_category().message(error)};
}

FileText read_whole(const std::string& path) {
  // O_NONBLOCK: a recorded folder may hold a pipe where a file is expected.
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) {
    if (errno == ENOENT || errno == ENOTDIR) return {};
    return unreadable(errno);
  }
  FileText result{FileText::State::kRead, {}};
  char buffer[4096];
  for (;;) {
    const ssize_t n = ::read(fd, buffer, sizeof buffer);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) {
      result = unreadable(errno);
      break;
    }
    if (n == 0) break;
    result.text.append(buffer, static_cast<std::size_t>(n));
    if (result.text.size() > kMostBytes) {
      result = unreadable(EFBIG);
      break;
    }
  }
  ::close(fd);
  return result;
}

}  // namespace

FileText LiveMachine::read(const std::string& path) const { return read_whole(path); }

std::optional<std::string> LiveMachine::variable(const char* name) const {
  // NOLINTNEXTLINE(concurrency-mt-unsafe): the header says what callers must see to
  const char* value = std::getenv(name);
  if (value == nullptr) return std::nullopt;
  return std::string(value);
}

std::optional<std::string> LiveMachine::affinity() const {
  // The process id is the main thread's own id. Asking for thread 0, the caller, would be wrong:
  // an OpenMP runtime may have bound it to one CPU.
  std::vector<cpu_set_t> sets(kMostCpus / CPU_SETSIZE);
  const std::size_t bytes = sets.size() * sizeof(cpu_set_t);
  if (::sched_getaffinity(::getpid(), bytes, sets.data()) != 0) return std::nullopt;
  std::string list;
  for (std::size_t cpu = 0; cpu < kMostCpus; ++cpu) {
    if (!CPU_ISSET_S(cpu, bytes, sets.data())) continue;
    if (!list.empty()) list += ',';
    list += std::to_string(cpu);
  }
  return list;
}

ProcessMachine::ProcessMachine(std::string folder, std::vector<std::string> environment, bool live)
    : folder_(std::move(folder)), environment_(std::move(environment)), live_(live) {}

FileText ProcessMachine::read(const std::string& path) const {
  constexpr std::string_view kSelf = "/proc/self/";
  if (path.starts_with(kSelf)) return read_whole(folder_ + "/" + path.substr(kSelf.size()));
  if (!live_) return {};
  // The machine is one; mounts, where cgroups are found, are the process's own.
  const bool shared = path.starts_with("/proc/") || path.starts_with("/sys/devices/");
  return read_whole(shared ? path : folder_ + "/root" + path);
}

std::optional<std::string> ProcessMachine::variable(const char* name) const {
  const std::string wanted = std::string(name) + "=";
  for (const std::string& entry : environment_) {
    if (entry.starts_with(wanted)) return entry.substr(wanted.size());
  }
  return std::nullopt;
}

RecordedMachine::RecordedMachine(std::string root) : root_(std::move(root)) {
  FileText env = read_whole(root_ + "/env");
  if (env.state == FileText::State::kRead) env_ = std::move(env.text);
}

FileText RecordedMachine::read(const std::string& path) const { return read_whole(root_ + path); }

std::optional<std::string> RecordedMachine::variable(const char* name) const {
  const std::string_view wanted(name);
  std::string_view rest = env_;
  while (!rest.empty()) {
    const std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(line.size() < rest.size() ? line.size() + 1 : rest.size());
    if (line.size() > wanted.size() && line.starts_with(wanted) && line[wanted.size()] == '=') {
      return std::string(line.substr(wanted.size() + 1));
    }
  }
  return std::nullopt;
}

}  // namespace corewise::os
