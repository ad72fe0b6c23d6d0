#include "process.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <set>
#include <utility>

#include "base/text.h"
#include "module.h"
#include "os/descriptor.h"
#include "pools/known_library.h"

namespace corewise::outside {
namespace {

// A folder of a live process, held open: once the process is gone its files are gone too, even
// if the kernel gives its number to another process.
class OpenFolder {
 public:
  explicit OpenFolder(const std::string& path)
      : folder_(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)), reason_(errno) {}
  explicit operator bool() const { return folder_.is_open(); }
  int reason() const { return reason_; }
  std::string path() const { return "/proc/self/fd/" + std::to_string(folder_.number()); }

 private:
  os::Descriptor folder_;
  int reason_;
};

// The value of "Name:\tvalue" in a status file; empty if it has none.
std::string field(const std::string& status, std::string_view name) {
  const std::string start = std::string(name) + ":";
  std::string_view line = line_starting(status, start);
  line.remove_prefix(std::min(line.size(), start.size()));
  line.remove_prefix(std::min(line.size(), line.find_first_not_of(" \t")));
  return std::string(line);
}

int number(const std::string& text) { return static_cast<int>(leading_number(text)); }

std::vector<std::string> split_at_nul(const std::string& text) {
  std::vector<std::string> parts;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\0', at), text.size());
    if (end > at) parts.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  return parts;
}

std::string joined(const std::vector<std::string>& words) {
  std::string line;
  for (const std::string& word : words) line += (line.empty() ? "" : " ") + word;
  return line;
}

// One process being read. `who` names it in sentences ("process 123").
class ProcessReader {
 public:
  ProcessReader(std::string folder, std::string who, int pid)
      : folder_(std::move(folder)), who_(std::move(who)), pid_(pid) {}

  Result<Process> read() {
    auto status = file("status");
    if (!status) return failure(status.error());
    status_ = *std::move(status);
    if (field(status_, "State").starts_with('Z')) {
      return Error{CW_PROCESS_ENDED, who_ + " is a zombie: it has ended, and its parent " +
                                         field(status_, "PPid") + " has not collected it"};
    }
    auto maps = file("maps");
    if (!maps) return failure(maps.error());
    const auto mappings = os::parse_maps(*maps);
    if (mappings.empty()) return no_memory(!maps->empty());

    Process process;
    process.pid = pid_;
    process.threads = number(field(status_, "Threads"));
    process.cpus = field(status_, "Cpus_allowed_list");
    if (const auto words = file("cmdline")) process.command = joined(split_at_nul(*words));
    if (process.command.empty()) process.command = field(status_, "Name");
    if (const auto environment = file("environ")) {
      process.environment = split_at_nul(*environment);
    } else {
      process.notes.push_back("the environment it was started with may not be read");
    }
    find_pools(mappings, process);
    if (has_ended()) return ended();
    return process;
  }

  Error refused() const {
    const int owner = number(field(status_, "Uid"));
    if (::geteuid() == 0) {
      return {CW_NOT_PERMITTED, who_ +
                                    " is protected from root too: this root has no right to trace "
                                    "it (CAP_SYS_PTRACE), as in a container"};
    }
    if (!status_.empty() && static_cast<uid_t>(owner) == ::geteuid()) {
      return {CW_NOT_PERMITTED, who_ +
                                    " is yours but protected (it changed its user or asked not "
                                    "to be dumped): only root may look into it"};
    }
    const std::string user = status_.empty() ? "another user"
                             : owner == 0    ? "root"
                                             : "the user with uid " + std::to_string(owner);
    return {CW_NOT_PERMITTED,
            who_ + " belongs to " + user + ": only that user and root may look into it"};
  }

 private:
  Result<std::string> file(const char* name) { return os::read_file(folder_ + "/" + name); }

  // A process that its parent has not collected yet keeps its folder, but no memory and no maps.
  bool has_ended() {
    if (pid_ == 0) return false;
    const auto now = file("status");
    if (!now) return true;
    const std::string state = field(*now, "State");
    return state.starts_with('Z') || state.starts_with('X');
  }

  Error ended() const { return {CW_PROCESS_ENDED, who_ + " ended while it was read"}; }

  Error failure(const Error& error) const {
    if (error.status == CW_NOT_PERMITTED) return refused();
    if (pid_ != 0 && (error.status == CW_NO_SUCH_PROCESS || error.status == CW_PROCESS_ENDED)) {
      return ended();
    }
    return {CW_IO_ERROR, who_ + ": " + error.what};
  }

  Error no_memory(bool had_lines) {
    if (had_lines) return {CW_IO_ERROR, who_ + ": " + "its maps file cannot be understood"};
    // All kernel threads are children of kthreadd; another process has no memory while it ends.
    constexpr int kThreadd = 2;
    const int parent = number(field(status_, "PPid"));
    if (pid_ != 0 && parent != 0 && parent != kThreadd) return ended();
    if (field(status_, "VmSize").empty()) {
      return {CW_NOT_AVAILABLE,
              who_ + " (" + field(status_, "Name") + ") is a kernel thread: it has no libraries"};
    }
    return {CW_IO_ERROR, who_ + ": its maps file is empty"};
  }

  void find_pools(const std::vector<os::Mapping>& mappings, Process& process) {
    const Memory memory = pid_ != 0 ? Memory(pid_) : Memory(recorded_memory());
    const Surroundings around{folder_, memory, process.environment};
    std::set<std::string> libraries;
    for (const MappedModule& module : modules_in(mappings)) {
      if (const char* library = known_library(module.path)) libraries.insert(library);
      auto found = read_module(module, around);
      if (!found) {
        process.notes.push_back("not looked into: " + found.error().what);
      } else if (found->has_value()) {
        process.pools.push_back(std::move(**found));
        process.pools.back().pool.id = static_cast<std::uint32_t>(process.pools.size() - 1);
      }
    }
    process.libraries.assign(libraries.begin(), libraries.end());
    process.memory_refused = memory.refused();
    if (memory.refused()) {
      process.notes.push_back(
          "its memory may not be read (kernel.yama.ptrace_scope, a container or a seccomp filter), "
          "so counts are missing: run corewise as root, or with CAP_SYS_PTRACE");
    }
  }

  std::string recorded_memory() {
    const auto text = file("memory");
    return text ? *text : std::string();
  }

  std::string folder_;
  std::string who_;
  int pid_;
  std::string status_;
};

}  // namespace

Result<Process> read_process(int pid) {
  const std::string who = "process " + std::to_string(pid);
  const OpenFolder folder("/proc/" + std::to_string(pid));
  if (!folder) {
    if (folder.reason() == ENOENT || folder.reason() == ESRCH) {
      return Error{CW_NO_SUCH_PROCESS, "there is no process " + std::to_string(pid) +
                                           ", or it is hidden from this user"};
    }
    // As /proc answers for others' processes where it is mounted with hidepid=1.
    if (folder.reason() == EPERM || folder.reason() == EACCES) {
      return ProcessReader({}, who, pid).refused();
    }
    return Error{CW_IO_ERROR, "/proc/" + std::to_string(pid) + ": " + system_says(folder.reason())};
  }
  return ProcessReader(folder.path(), who, pid).read();
}

Result<Process> read_recorded(const std::string& folder) {
  return ProcessReader(folder, "the process recorded in " + folder, 0).read();
}

}  // namespace corewise::outside
