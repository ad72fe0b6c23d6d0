#include "way_in.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/wait.h>
#include <unistd.h>

#include <string>
#include <string_view>
#include <vector>

#include "os/os.h"
#include "output.h"
#include "run_child.h"
#include "text.h"

namespace corewise::cli {
namespace {

// Exits with one of the codes below. The request leaves no trace in the notebook's history.
constexpr const char* kScript = R"py(
import sys
try:
    from jupyter_client import BlockingKernelClient
except ImportError:
    sys.exit(11)
client = BlockingKernelClient(connection_file=sys.argv[1])
client.load_connection_file()
code = "import corewise; corewise.control_start()"
request = {"code": code, "silent": True, "store_history": False, "user_expressions": {},
           "allow_stdin": False, "stop_on_error": False}
client.control_channel.send(client.session.msg("execute_request", request))
try:
    content = client.get_control_msg(timeout=10)["content"]
except Exception:
    sys.exit(12)
if content["status"] != "ok":
    sys.exit(13 if content.get("ename") == "ModuleNotFoundError" else 14)
)py";

struct Meaning {
  int code;
  const char* text;
};
constexpr Meaning kMeanings[] = {
    {11, "its Python has no jupyter_client to ask it with: pip install jupyter_client there"},
    {12, "the kernel does not answer on its control channel"},
    {13, "the kernel's Python has no corewise: pip install corewise there"},
    {14, "the kernel could not open a control socket: COREWISE_CONTROL=off may be set there"},
};

std::vector<std::string> words_of(int pid) {
  std::vector<std::string> words;
  const auto text = os::read_file(fmt::format("/proc/{}/cmdline", pid));
  for (std::string_view rest = text ? std::string_view(*text) : ""; !rest.empty();) {
    words.emplace_back(cut(rest, '\0'));
  }
  return words;
}

// The file that tells how to reach a kernel: what follows -f.
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

}  // namespace

std::optional<Error> make_socket(int pid) {
  const std::vector<std::string> words = words_of(pid);
  const std::string file = connection_file(words);
  if (file.empty()) {
    return Error{CW_NOT_AVAILABLE,
                 fmt::format("process {} has no control socket, and is no Jupyter kernel", pid)};
  }
  const int code = run_quietly({words.front(), "-c", kScript, file});
  if (code == 0) return std::nullopt;
  std::string why = "its Python could not be run";
  for (const Meaning& meaning : kMeanings) {
    if (meaning.code == code) why = meaning.text;
  }
  return Error{
      CW_NOT_AVAILABLE,
      fmt::format("process {} is a Jupyter kernel without a control socket, and {}", pid, why)};
}

}  // namespace corewise::cli
