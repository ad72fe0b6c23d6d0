// Finds out, from a file and its rights, what the loader would refuse.
#include "target.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <string_view>

#include "library.h"
#include "os/loadable.h"
#include "shell/exit_codes.h"
#include "shell/output.h"
#include "shell/quoting.h"

namespace corewise::cli {
namespace {

// The loader takes no libraries from the environment into a program that gains rights.
std::string obstacle_in_rights(const std::string& path) {
  struct stat status{};
  if (::stat(path.c_str(), &status) != 0) return {};
  if ((status.st_mode & S_ISUID) != 0 && status.st_uid != ::getuid()) return "is setuid";
  const bool setgid = (status.st_mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP);
  if (setgid && status.st_gid != ::getgid()) return "is setgid";
  if (::getuid() != 0 && ::getxattr(path.c_str(), "security.capability", nullptr, 0) > 0) {
    return "has capabilities of its own (getcap shows them)";
  }
  return {};
}

std::string in_words(const os::Started& started) {
  switch (started.obstacle) {
    case os::Obstacle::none:
      return {};
    case os::Obstacle::other_machine:
      return "is made for another machine than corewise";
    case os::Obstacle::no_loader:
      return "is statically linked";
    case os::Obstacle::other_library:
      return fmt::format("is made for another C library ({})",
                         printable(started.loader.data(), false));
    case os::Obstacle::other_loader:
      return "is the loader of another C library";
    case os::Obstacle::sanitizer:
      return "is built with AddressSanitizer, which must be loaded first";
    case os::Obstacle::msan:
      return "is built with MemorySanitizer, to which other libraries' memory is uninitialised";
    case os::Obstacle::no_library:
      return "cannot load libcorewise.so: it cannot be read here, or is for another machine";
    case os::Obstacle::older_library:
      return fmt::format("has an older C library than corewise needs, beside {}",
                         printable(started.loader.data(), false));
  }
  return {};
}

std::string obstacle_to(const std::string& path, const os::Started& started) {
  const std::string interpreter = started.interpreter.data();
  std::string obstacle = obstacle_in_rights(interpreter.empty() ? path : interpreter);
  if (obstacle.empty()) obstacle = in_words(started);
  if (obstacle.empty() || interpreter.empty()) return obstacle;
  return fmt::format("is run by {}, which {}", printable(interpreter, false), obstacle);
}

bool can_start(const std::string& path) {
  struct stat status{};
  return ::stat(path.c_str(), &status) == 0 && S_ISREG(status.st_mode) &&
         ::faccessat(AT_FDCWD, path.c_str(), X_OK, AT_EACCESS) == 0;
}

std::string find_in_path(const std::string& command) {
  if (command.find('/') != std::string::npos) return can_start(command) ? command : "";
  const char* set = std::getenv("PATH");
  std::string_view folders = set != nullptr ? set : "/bin:/usr/bin";
  while (true) {
    const std::string_view folder = folders.substr(0, folders.find(':'));
    std::string path = std::string(folder.empty() ? "." : folder) + "/" + command;
    if (can_start(path)) return path;
    if (folder.size() == folders.size()) return {};
    folders.remove_prefix(folder.size() + 1);
  }
}

// Valid as long as the words are.
std::vector<char*> as_arguments(const std::vector<std::string>& words) {
  std::vector<char*> arguments;
  for (const std::string& word : words) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  return arguments;
}

}  // namespace

Target find_target(const std::vector<std::string>& words) {
  Target target;
  target.path = find_in_path(words.front());
  if (target.path.empty()) return target;
  os::learn_own_loader();
  os::Started started;
  const auto library = find_library();
  os::find_obstacle(target.path.c_str(), as_arguments(words).data(),
                    library ? library->c_str() : nullptr, started);
  target.obstacle = obstacle_to(target.path, started);
  target.binary = started.is_program;
  return target;
}

namespace {
// A script in this folder is no command; one below another folder may lack the right to run.
std::string hint_for_script(const std::vector<std::string>& words, const char* command) {
  const std::string& file = words.front();
  if (!file.ends_with(".py") || ::access(file.c_str(), F_OK) != 0) return {};
  return fmt::format("did you mean: corewise {} -- python {}", command,
                     printable(for_shell(words), false));
}

std::string hint_for_missing(const std::vector<std::string>& words, const char* command) {
  const std::string& word = words.front();
  const std::string first = word.substr(0, word.find(' '));
  if (words.size() == 1 && first != word && !find_in_path(first).empty()) {
    return fmt::format("do not quote the command and its arguments together: -- {}",
                       printable(word, false));
  }
  if (auto hint = hint_for_script(words, command); !hint.empty()) return hint;
  return word.find('/') == std::string::npos ? "is its folder in PATH?" : "";
}
}  // namespace

int become(const std::vector<std::string>& words, const Target& target, const char* command) {
  const std::vector<char*> arguments = as_arguments(words);
  if (target.binary) ::execv(target.path.c_str(), arguments.data());
  if (!target.binary) ::execvp(arguments[0], arguments.data());
  const int reason = errno;
  const std::string shown = printable(words.front(), false);
  if (reason != ENOENT) {
    return fail(kCannotStart,
                fmt::format("{}: cannot start '{}': {}", command, shown, std::strerror(reason)),
                reason == EACCES ? hint_for_script(words, command) : "");
  }
  if (words.front().find('/') != std::string::npos && ::access(words.front().c_str(), F_OK) == 0) {
    return fail(kCannotStart,
                fmt::format("{}: cannot start '{}': its interpreter or loader does not exist",
                            command, shown),
                "its first line, or `file`, names the one it needs");
  }
  return fail(kNotFound, fmt::format("{}: '{}' was not found", command, shown),
              hint_for_missing(words, command));
}

}  // namespace corewise::cli
