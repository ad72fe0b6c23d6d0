#include "watched_run.h"

#include <embedded/child.py.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <sstream>
#include <system_error>
#include <thread>

#include "advice/doctor.h"
#include "base/text.h"
#include "facts/process_facts.h"
#include "os/os.h"
#include "python/records.h"
#include "screen/finding_list.h"
#include "shell/kept_children.h"
#include "start/thread_variables.h"

namespace corewise::cli {
namespace {

using Clock = std::chrono::steady_clock;
using Seen = std::map<int, std::vector<Finding>>;  // by process

// A folder with the sitecustomize.py that reports, and the reports: one file for each process.
class Witness {
 public:
  Witness() {
    std::error_code unknown;
    folder_ = (std::filesystem::temp_directory_path(unknown) / "corewise.XXXXXX").string();
    made_ = ::mkdtemp(folder_.data()) != nullptr;
    if (made_) std::ofstream(folder_ + "/sitecustomize.py") << kChild << "tell_at_exit()\n";
  }
  Witness(const Witness&) = delete;
  Witness& operator=(const Witness&) = delete;
  ~Witness() {
    std::error_code ignored;
    if (made_) std::filesystem::remove_all(folder_, ignored);
  }

  // The environment in which Python finds that sitecustomize.py.
  std::vector<std::string> environment(const std::string& library) const {
    std::vector<std::string> all = own_environment();
    if (!made_) return all;
    std::string path = folder_;
    std::erase_if(all, [&](const std::string& entry) {
      constexpr std::string_view kPath = "PYTHONPATH=";
      const bool is_path = entry.starts_with(kPath);
      // An empty part would mean the current folder.
      if (is_path && entry.size() > kPath.size()) path += ":" + entry.substr(kPath.size());
      return is_path || entry.starts_with("COREWISE_LIBRARY=");
    });
    all.push_back("PYTHONPATH=" + path);
    all.push_back("COREWISE_LIBRARY=" + library);
    return all;
  }

  // What a process reported replaces what we saw from outside. One that had no pool, and nothing
  // wrong, was not examined.
  void collect(Seen& seen) const {
    std::error_code gone;
    for (std::filesystem::directory_iterator file(folder_, gone), end; !gone && file != end;
         file.increment(gone)) {
      const auto pid = parse_integer(file->path().filename().string());
      if (!pid) continue;
      std::stringstream text;
      text << std::ifstream(file->path(), std::ios::binary).rdbuf();
      RecordReader reader;
      reader.add(text.str());
      const Imported& told = reader.told;
      if (!reader.done() || (told.pools.empty() && told.findings.empty())) continue;
      seen[static_cast<int>(*pid)] = told.findings;
    }
  }

 private:
  std::string folder_;
  bool made_ = false;
};

// Ctrl-C is for the program: we still show the findings.
class KeyboardSignalsIgnored {
 public:
  KeyboardSignalsIgnored() {
    interrupt_ = ::signal(SIGINT, SIG_IGN);
    quit_ = ::signal(SIGQUIT, SIG_IGN);
  }
  KeyboardSignalsIgnored(const KeyboardSignalsIgnored&) = delete;
  KeyboardSignalsIgnored& operator=(const KeyboardSignalsIgnored&) = delete;
  ~KeyboardSignalsIgnored() {
    ::signal(SIGINT, interrupt_);
    ::signal(SIGQUIT, quit_);
  }

 private:
  void (*interrupt_)(int);
  void (*quit_)(int);
};

std::vector<char*> pointers_to(std::vector<std::string>& words) {
  std::vector<char*> pointers;
  for (std::string& word : words) pointers.push_back(word.data());
  pointers.push_back(nullptr);
  return pointers;
}

// Like execvp(), and unlike posix_spawnp(): what the kernel does not know is the shell's to read.
std::vector<std::string> through_shell(const std::vector<std::string>& words,
                                       const Target& target) {
  std::vector<std::string> all{"/bin/sh", target.path};
  all.insert(all.end(), words.begin() + 1, words.end());
  return all;
}

Result<pid_t> start(std::vector<std::string> words, const Target& target,
                    std::vector<std::string> environment) {
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_adddup2(&actions, STDERR_FILENO, STDOUT_FILENO);
  posix_spawnattr_t attributes;
  ::posix_spawnattr_init(&attributes);
  sigset_t keyboard;
  sigemptyset(&keyboard);
  sigaddset(&keyboard, SIGINT);
  sigaddset(&keyboard, SIGQUIT);
  ::posix_spawnattr_setsigdefault(&attributes, &keyboard);
  ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF);
  pid_t pid = 0;
  const auto spawn = [&] {
    return ::posix_spawnp(&pid, words.front().c_str(), &actions, &attributes,
                          pointers_to(words).data(), pointers_to(environment).data());
  };
  int reason = spawn();
  if (reason == ENOEXEC && !target.binary) {
    words = through_shell(words, target);
    reason = spawn();
  }
  ::posix_spawnattr_destroy(&attributes);
  ::posix_spawn_file_actions_destroy(&actions);
  if (reason == 0) return pid;
  return Error{CW_IO_ERROR, std::strerror(reason)};
}

// The process and its descendants, as far as the kernel lists them.
void add_family(int pid, std::vector<int>& family) {
  family.push_back(pid);
  std::error_code gone;
  for (std::filesystem::directory_iterator task(fmt::format("/proc/{}/task", pid), gone), end;
       !gone && task != end; task.increment(gone)) {
    const auto children = os::read_file(task->path().string() + "/children");
    if (!children) continue;
    std::istringstream list(*children);
    for (int child = 0; list >> child;) add_family(child, family);
  }
}

// A process may become another program between two examinations, so every finding ever seen counts.
void examine_family(int pid, Seen& seen, std::set<int>& members) {
  std::vector<int> family;
  add_family(pid, family);
  for (const int member : family) {
    members.insert(member);
    const auto process = outside::read_process(member);
    if (!process || process->pools.empty()) continue;
    merge(seen[member], examine(facts_of_process(*process, fmt::format("/proc/{}", member))));
  }
}

}  // namespace

Result<WatchedRun> run_watched(const std::vector<std::string>& words, const Target& target,
                               const std::string& library) {
  // An examination costs up to some tens of milliseconds. It must not cost the program more than a
  // twentieth of one CPU, and most pools load within the first seconds.
  constexpr auto kShortestPause = std::chrono::milliseconds(100);
  constexpr int kPausePerExamination = 20;
  constexpr auto kTick = std::chrono::milliseconds(10);

  const Witness witness;
  const KeyboardSignalsIgnored ignored;
  const KeptChildren children;
  const auto pid = start(words, target, witness.environment(library));
  if (!pid) return pid.error();
  WatchedRun watched;
  watched.members.insert(*pid);
  Seen seen;
  auto next = Clock::now() + kShortestPause;
  pid_t ended = 0;
  while (ended == 0 || (ended < 0 && errno == EINTR)) {
    if (Clock::now() >= next) {
      const auto before = Clock::now();
      examine_family(*pid, seen, watched.members);
      const auto took = Clock::now() - before;
      next = Clock::now() + std::max<Clock::duration>(kShortestPause, took * kPausePerExamination);
    }
    std::this_thread::sleep_for(kTick);
    ended = ::waitpid(*pid, &watched.status, WNOHANG);
  }
  witness.collect(seen);
  watched.processes = static_cast<int>(seen.size());
  for (const auto& [member, findings] : seen) merge(watched.findings, findings);
  return watched;
}

}  // namespace corewise::cli
