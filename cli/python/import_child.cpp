#include "import_child.h"

#include <embedded/child.py.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "shell/kept_children.h"

namespace corewise::cli {
namespace {

// The descriptor of the pipe's writing end in the child.
constexpr int kAnswerFd = 3;

struct Spawned {
  pid_t pid = 0;
  int answers = -1;
};

Result<Spawned> spawn(const std::string& python, const std::string& library, ImportTask task,
                      const std::vector<std::string>& modules) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) {
    return Error{CW_IO_ERROR, fmt::format("cannot make a pipe: {}", std::strerror(errno))};
  }
  // dup2 onto itself would leave close-on-exec set.
  if (ends[1] == kAnswerFd) {
    ends[1] = ::fcntl(kAnswerFd, F_DUPFD_CLOEXEC, kAnswerFd + 1);
    ::close(kAnswerFd);
  }
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  // Modules may print while they are imported: standard output is only for the table.
  ::posix_spawn_file_actions_adddup2(&actions, STDERR_FILENO, STDOUT_FILENO);
  ::posix_spawn_file_actions_adddup2(&actions, ends[1], kAnswerFd);

  std::vector<std::string> words = {python,
                                    "-c",
                                    fmt::format("{}import_and_tell()\n", kChild),
                                    std::to_string(kAnswerFd),
                                    library,
                                    task == ImportTask::kPools ? "pools" : "findings"};
  words.insert(words.end(), modules.begin(), modules.end());
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  Spawned child;
  const int reason =
      ::posix_spawnp(&child.pid, python.c_str(), &actions, nullptr, arguments.data(), environ);
  ::posix_spawn_file_actions_destroy(&actions);
  ::close(ends[1]);
  child.answers = ends[0];
  if (reason == 0) return child;
  ::close(ends[0]);
  return Error{CW_IO_ERROR,
               fmt::format("cannot start the Python '{}': {}", python, std::strerror(reason))};
}

std::string how_it_ended(int status, const std::string& module) {
  const std::string when = module.empty() ? "at its start" : fmt::format("importing '{}'", module);
  if (WIFSIGNALED(status)) {
    const int signal = WTERMSIG(status);
    return fmt::format("Python was killed by signal {} ({}) {}", signal, ::strsignal(signal), when);
  }
  return fmt::format("Python ended with code {} {}", WEXITSTATUS(status), when);
}

}  // namespace

Result<Imported> import_in_child(const std::string& python, const std::string& library,
                                 ImportTask task, const std::vector<std::string>& modules,
                                 const std::function<void(const std::string&)>& tick) {
  const KeptChildren children;
  const auto child = spawn(python, library, task, modules);
  if (!child) return child.error();
  constexpr int kSilence = 2000;  // milliseconds
  RecordReader answers;
  Imported& imported = answers.told;
  char chunk[4096];
  while (true) {
    pollfd wait{child->answers, POLLIN, 0};
    const int ready = ::poll(&wait, 1, kSilence);
    if (ready == 0) {
      tick(imported.importing);
      continue;
    }
    const ssize_t n = ready < 0 ? -1 : ::read(child->answers, chunk, sizeof chunk);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) break;
    answers.add({chunk, static_cast<std::size_t>(n)});
    // A module may have left behind processes that hold the pipe open.
    if (answers.done()) break;
  }
  ::close(child->answers);
  int status = 0;
  while (::waitpid(child->pid, &status, 0) < 0 && errno == EINTR) {
  }
  if (!answers.done() && imported.broke.empty()) {
    imported.broke = how_it_ended(status, imported.importing);
  }
  return std::move(imported);
}

}  // namespace corewise::cli
