// Reads the machine with plain system calls; Linux, live or recorded. See machine.h.
#include "machine.h"

#include <fcntl.h>
#include <sched.h>
#include <unistd.h>

#include <bit>
#include <cerrno>
#include <string_view>
#include <utility>
#include <vector>

#include "base/keep_errno.h"
#include "base/text.h"
#include "descriptor.h"
#include "os.h"

namespace corewise::os {
namespace {

// Far above any file read here: the mount table of a container host is the longest.
constexpr std::size_t kMostBytes = std::size_t{16} << 20;

FileText unreadable(int error) { return {FileText::Access::kUnreadable, system_says(error)}; }

FileText read_whole(const std::string& path) {
  // O_NONBLOCK: a recorded folder may hold a pipe where a file is expected.
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!file.is_open()) {
    if (errno == ENOENT || errno == ENOTDIR) return {};
    return unreadable(errno);
  }
  FileText result{FileText::Access::kRead, {}};
  const int error = read_to_end(file.number(), kMostBytes + 1, result.text);
  if (error != 0) return unreadable(error);
  return result.text.size() > kMostBytes ? unreadable(EFBIG) : result;
}

}  // namespace

int MainThreadMask::count() const noexcept {
  int count = 0;
  for (const std::uint64_t word : words) count += std::popcount(word);
  return count;
}

std::string MainThreadMask::to_list() const {
  std::string list;
  for (std::size_t cpu = 0; cpu < kMostCpus; ++cpu) {
    if ((words[cpu / 64] >> cpu % 64 & 1) == 0) continue;
    if (!list.empty()) list += ',';
    list += std::to_string(cpu);
  }
  return list;
}

MainThreadMask main_thread_mask() noexcept {
  MainThreadMask mask;
  static_assert(sizeof(cpu_set_t) <= sizeof mask.words);
  const KeepErrno keep;
  // The process id is the main thread's own id. Asking for thread 0, the caller, would be wrong:
  // an OpenMP runtime may have bound it to one CPU.
  mask.known = ::sched_getaffinity(::getpid(), sizeof mask.words,
                                   reinterpret_cast<cpu_set_t*>(mask.words.data())) == 0;
  return mask;
}

FileText LiveMachine::read(const std::string& path) const { return read_whole(path); }

std::optional<std::string> LiveMachine::variable(const char* name) const {
  const auto value = os::variable(name);
  return value ? std::optional<std::string>(*value) : std::nullopt;
}

bool is_set_by_run(const Machine& machine, const char* name, const char* marker) {
  const auto value = machine.variable(name);
  return value && value == machine.variable(marker);
}

std::vector<std::string> LiveMachine::list(const std::string& folder) const {
  return names_in(folder);
}

std::optional<std::string> LiveMachine::affinity() const {
  const MainThreadMask mask = main_thread_mask();
  return mask.known ? std::optional(mask.to_list()) : std::nullopt;
}

ProcessMachine::ProcessMachine(std::string folder, std::vector<std::string> environment, bool live)
    : folder_(std::move(folder)), environment_(std::move(environment)), live_(live) {}

std::string ProcessMachine::place_of(const std::string& path) const {
  constexpr std::string_view kSelf = "/proc/self/";
  if (path.starts_with(kSelf)) return folder_ + "/" + path.substr(kSelf.size());
  if (!live_) return {};
  // All processes share one machine, but each has its own mounts, which hold the cgroups.
  const bool shared = path.starts_with("/proc/") || path.starts_with("/sys/devices/");
  return shared ? path : folder_ + "/root" + path;
}

FileText ProcessMachine::read(const std::string& path) const {
  const std::string place = place_of(path);
  return place.empty() ? FileText{} : read_whole(place);
}

std::vector<std::string> ProcessMachine::list(const std::string& folder) const {
  const std::string place = place_of(folder);
  return place.empty() ? std::vector<std::string>() : names_in(place);
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
  if (env.access == FileText::Access::kRead) env_ = std::move(env.text);
}

FileText RecordedMachine::read(const std::string& path) const { return read_whole(root_ + path); }

std::vector<std::string> RecordedMachine::list(const std::string& folder) const {
  return names_in(root_ + folder);
}

std::optional<std::string> RecordedMachine::variable(const char* name) const {
  const std::string_view wanted(name);
  std::string_view rest = env_;
  while (!rest.empty()) {
    const std::string_view line = cut(rest, '\n');
    if (line.size() > wanted.size() && line.starts_with(wanted) && line[wanted.size()] == '=') {
      return std::string(line.substr(wanted.size() + 1));
    }
  }
  return std::nullopt;
}

}  // namespace corewise::os
