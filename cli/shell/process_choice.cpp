#include "process_choice.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <string_view>

#include "exit_codes.h"
#include "os/os.h"
#include "output.h"

namespace corewise::cli {

int parse_pid(const std::string& text) {
  int pid = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), pid);
  return error == std::errc{} && end == text.data() + text.size() && pid > 0 ? pid : 0;
}

char state_of(int pid) {
  constexpr std::string_view kKey = "\nState:\t";
  const auto text = os::read_file(fmt::format("/proc/{}/status", pid));
  const std::size_t at = text ? text->find(kKey) : std::string::npos;
  return at == std::string::npos ? 0 : text->c_str()[at + kKey.size()];
}

bool is_stopped(int pid) {
  const char state = state_of(pid);
  return state == 'T' || state == 't';
}

bool is_debugged(int pid) { return state_of(pid) == 't'; }

std::string remedy_for(Status status, const char* command, int pid) {
  if (status == CW_NOT_PERMITTED && ::geteuid() == 0) {
    return "run it outside of the container, or give the container the right: --cap-add SYS_PTRACE";
  }
  if (status == CW_NOT_PERMITTED) {
    return fmt::format("run it as that user, or with sudo: sudo corewise {} --pid {}", command,
                       pid);
  }
  if (status == CW_NO_SUCH_PROCESS) return "`ps -e` lists the processes that run now";
  return {};
}

std::shared_ptr<ProcessChoice> declare_process(CLI::App& app, const char* pid_text,
                                               const char* recorded_text) {
  auto choice = std::make_shared<ProcessChoice>();
  app.add_option_function<std::string>(
         "-p,--pid", [choice](const std::string& text) { choice->pid = text; }, pid_text)
      ->type_name("PID");
  app.add_option_function<std::string>(
         "--recorded", [choice](const std::string& text) { choice->recorded = text; },
         recorded_text)
      ->type_name("FOLDER");
  return choice;
}

int with_process(const ProcessChoice& choice, const char* command, int failed,
                 const ShowProcess& show) {
  const int pid = parse_pid(choice.pid.value_or(""));
  if (!choice.recorded && pid == 0) {
    return fail(kUsage,
                fmt::format("{}: --pid takes the number of a process, not '{}'", command,
                            printable(*choice.pid, false)),
                "`ps -e` or `pgrep python` lists them");
  }
  const auto process =
      choice.recorded ? outside::read_recorded(*choice.recorded) : outside::read_process(pid);
  if (!process) {
    const Exit code = exit_for(process.error().status);
    return fail(code == kFailed ? failed : code, printable(process.error().what, false),
                remedy_for(process.error().status, command, pid));
  }
  return show(*process, choice.recorded ? *choice.recorded : fmt::format("/proc/{}", pid));
}

void say_notes(const outside::Process& process) {
  // A process may map hundreds of odd files; the first few show what is going on.
  constexpr std::size_t kMost = 5;
  for (std::size_t i = 0; i < std::min(kMost, process.notes.size()); ++i) {
    warn(printable(process.notes[i], false));
  }
  if (process.notes.size() > kMost) {
    warn(fmt::format("and {} more; --json has them all", process.notes.size() - kMost));
  }
}

}  // namespace corewise::cli
