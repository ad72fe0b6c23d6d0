#include "way_in.h"

#include <embedded/ask_jupyter.py.h>
#include <embedded/open_socket.py.h>
#include <embedded/send_script.py.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include "base/json.h"
#include "base/text.h"
#include "control/sockets.h"
#include "os/os.h"
#include "shell/output.h"
#include "shell/process_choice.h"
#include "start/library.h"
#include "start/run_child.h"

namespace corewise::cli {
namespace {

struct Meaning {
  int code;
  const char* text;
};
constexpr Meaning kMeanings[] = {
    {11, "its Python has no jupyter_client to ask it with: pip install jupyter_client there"},
    {12, "the kernel does not answer on its control channel"},
    {13, "the kernel's Python has no corewise: install it there as the README says"},
    {14, "the kernel could not open a control socket: COREWISE_CONTROL=off may be set there"},
    {15, "corewise cannot open one: only Python 3.14 and later accept a script while they run"},
    {16, "corewise may not open one: that needs root, or kernel.yama.ptrace_scope=0"},
    {17,
     "corewise cannot open one: it was started with PYTHON_DISABLE_REMOTE_DEBUG, or is another "
     "Python"},
};

std::string meaning_of(int code) {
  for (const Meaning& meaning : kMeanings) {
    if (meaning.code == code) return meaning.text;
  }
  return "its Python could not be run";
}

std::vector<std::string> words_of(int pid) {
  std::vector<std::string> words;
  const auto text = os::read_file(fmt::format("/proc/{}/cmdline", pid));
  for (std::string_view rest = text ? std::string_view(*text) : ""; !rest.empty();) {
    words.emplace_back(cut(rest, '\0'));
  }
  return words;
}

// A kernel's connection file: the argument after -f.
std::string connection_file(const std::vector<std::string>& words) {
  for (std::size_t i = 1; i + 1 < words.size(); ++i) {
    if (words[i] == "-f" && words[i + 1].ends_with(".json")) return words[i + 1];
  }
  return {};
}

int run_quietly(const std::vector<std::string>& words) {
  std::vector<char*> arguments;
  for (const std::string& word : words) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  const int status = wait_for_child([&] {
    const int nowhere = ::open("/dev/null", O_RDWR | O_CLOEXEC);
    if (nowhere < 0) return 127;
    for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) ::dup2(nowhere, fd);
    ::execvp(arguments[0], arguments.data());
    return 127;
  });
  return status >= 0 && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

std::string why_not_jupyter(const std::string& python, const std::string& file) {
  const int code = run_quietly({python, "-c", kAskJupyter, file});
  return code == 0 ? std::string() : meaning_of(code);
}

// A file that the process can read, whichever user runs it; removed at the end.
class Script {
 public:
  explicit Script(const std::string& text) {
    const int fd = ::mkstemp(path_.data());
    if (fd < 0) return;
    written_ = ::fchmod(fd, 0644) == 0 &&
               ::write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size());
    ::close(fd);
  }
  Script(const Script&) = delete;
  Script& operator=(const Script&) = delete;
  ~Script() { ::unlink(path_.c_str()); }
  bool written() const { return written_; }
  const std::string& path() const { return path_; }

 private:
  std::string path_ = "/tmp/corewise-XXXXXX";
  bool written_ = false;
};

bool has_socket(int pid) {
  const auto fd = control::connect_to(pid);
  if (fd) ::close(*fd);
  return bool(fd);
}

std::string why_not_python(int pid, const std::string& python) {
  const auto library = find_library();
  if (!library) return library.error().what;
  // A JSON string is also a Python string, whatever bytes the path has.
  Json path;
  path.value(*library);
  const Script script(fmt::format("{}\n\n_corewise_open_socket({})\ndel _corewise_open_socket\n",
                                  kOpenSocket, path.text()));
  if (!script.written()) return "no script can be written to /tmp";
  const int code = run_quietly({python, "-c", kSendScript, std::to_string(pid), script.path()});
  if (code != 0) return meaning_of(code);
  for (int tenths = 0; tenths < 100; ++tenths) {
    if (has_socket(pid)) return {};
    if (tenths == 20) warn("waiting for its main thread to come back to Python code");
    ::usleep(100'000);
  }
  return "its main thread has not come back to Python code for 10 s: try again later";
}

// The program that the process runs, if that is Python.
std::string python_of(int pid) {
  std::error_code ignored;
  const std::string path =
      std::filesystem::read_symlink(fmt::format("/proc/{}/exe", pid), ignored).string();
  return file_name(path).starts_with("python") ? path : std::string();
}

}  // namespace

std::optional<Error> make_socket(int pid) {
  if (state_of(pid) == 'Z') {
    return Error{CW_PROCESS_ENDED, fmt::format("process {} has ended: it is a zombie", pid)};
  }
  const std::vector<std::string> words = words_of(pid);
  const std::string file = connection_file(words);
  const std::string python = python_of(pid);
  if (file.empty() && python.empty()) {
    return Error{CW_NOT_AVAILABLE,
                 fmt::format("process {} has no control socket, and is not a Python program", pid)};
  }
  const bool kernel = !file.empty();
  const std::string why =
      kernel ? why_not_jupyter(words.front(), file) : why_not_python(pid, python);
  if (why.empty()) return std::nullopt;
  return Error{CW_NOT_AVAILABLE,
               fmt::format("process {} is a {} without a control socket, and {}", pid,
                           kernel ? "Jupyter kernel" : "Python program", why)};
}

}  // namespace corewise::cli
