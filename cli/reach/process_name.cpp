#include "process_name.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <span>
#include <string_view>

#include "base/text.h"
#include "kernel_view.h"
#include "os/os.h"

namespace corewise::cli {
namespace {

using Words = std::span<const std::string>;

// Joins the words into one line, whatever they contain.
std::string joined(Words words) {
  std::string line;
  for (const char c : fmt::format("{}", fmt::join(words, " "))) {
    const bool blank = c == ' ' || c == '\t' || c == '\n' || c == '\r';
    if (!blank) {
      line += c;
    } else if (!line.empty() && line.back() != ' ') {
      line += ' ';
    }
  }
  return line;
}

bool is_python(std::string_view program) {
  return program.starts_with("python") || program.starts_with("pypy");
}

bool is_other_interpreter(std::string_view program) {
  constexpr std::array<std::string_view, 10> kNames = {
      "R", "Rscript", "julia", "octave", "octave-cli", "bash", "sh", "perl", "ruby", "node"};
  return std::ranges::find(kNames, program) != kNames.end();
}

// The words from the script, -m or -c on; empty for an interactive Python. The value of an option
// may be in the same word or in the next one.
Words after_python_options(Words words) {
  while (!words.empty() && words.front().starts_with('-') && words.front() != "-") {
    const std::string_view option = words.front();
    if (option.starts_with("-m") || option.starts_with("-c")) return words;
    const bool takes_next = option == "-X" || option == "-W" || option == "--check-hash-based-pycs";
    words = words.subspan(std::min<std::size_t>(words.size(), takes_next ? 2 : 1));
  }
  return words;
}

std::string name_of_python(Words words) {
  words = after_python_options(words);
  if (words.empty()) return {};
  const std::string all = joined(words);
  if (all.find("multiprocessing.spawn") != std::string::npos) return "multiprocessing worker";
  if (all.find("multiprocessing.forkserver") != std::string::npos) return "multiprocessing server";
  if (all.find("popen_loky_posix") != std::string::npos) return "joblib worker (loky)";
  if (words.front().starts_with('-')) return {};
  const std::string script(file_name(words.front()));
  return words.size() == 1 ? script : script + " " + joined(words.subspan(1));
}

std::string name_of_script(Words words) {
  for (std::size_t i = 0; i < words.size(); ++i) {
    constexpr std::string_view kFile = "--file=";
    const std::string_view word = words[i];
    if (word.starts_with(kFile)) return std::string(file_name(word.substr(kFile.size())));
    if (word == "-c" || word == "-e" || word == "--eval") return {};
    if (word.starts_with('-')) continue;
    const std::string script(file_name(word));
    return i + 1 == words.size() ? script : script + " " + joined(words.subspan(i + 1));
  }
  return {};
}

// A kernel gets its connection file on the command line.
bool is_notebook_kernel(Words words) {
  for (std::size_t i = 1; i < words.size(); ++i) {
    const bool is_file = words[i].ends_with(".json");
    if (is_file && (words[i - 1] == "-f" || file_name(words[i]).starts_with("kernel-"))) {
      return true;
    }
  }
  return false;
}

std::string own_name(Words words) {
  const std::string program(file_name(words.front()));
  const Words rest = words.subspan(1);
  std::string name = is_python(program)              ? name_of_python(rest)
                     : is_other_interpreter(program) ? name_of_script(rest)
                                                     : std::string();
  if (!name.empty()) return name;
  return rest.empty() ? program : program + " " + joined(rest);
}

}  // namespace

std::string name_for(const std::vector<std::string>& words, const std::string& session) {
  if (words.empty()) return {};
  const std::string notebook(file_name(session));
  if (notebook.empty()) return own_name(words);
  // Processes that a notebook starts inherit the variable.
  return is_notebook_kernel(words) ? notebook : fmt::format("{}: {}", notebook, own_name(words));
}

std::string name_of_process(int pid) {
  const std::string folder = fmt::format("/proc/{}", pid);
  std::vector<std::string> words;
  const auto line = os::read_file(folder + "/cmdline", 4096);
  for (std::string_view rest = line ? std::string_view(*line) : ""; !rest.empty();) {
    words.emplace_back(cut(rest, '\0'));
  }
  std::string session;
  const auto environment = os::read_file(folder + "/environ");
  for (std::string_view rest = environment ? std::string_view(*environment) : ""; !rest.empty();) {
    const std::string_view entry = cut(rest, '\0');
    constexpr std::string_view kName = "JPY_SESSION_NAME=";
    if (entry.starts_with(kName)) session = entry.substr(kName.size());
  }
  const std::string name = name_for(words, session);
  return name.empty() ? command_of(pid) : name;
}

}  // namespace corewise::cli
