// What the loader would refuse, read from the file's first bytes and its rights.
#include "target.h"

#include <elf.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstdlib>
#include <cstring>
#include <string_view>

#include "exit_codes.h"
#include "output.h"
#include "text.h"

namespace corewise::cli {
namespace {

// As many as the kernel follows.
constexpr int kMostInterpreters = 5;

class File {
 public:
  explicit File(const std::string& path) : fd_(::open(path.c_str(), O_RDONLY | O_CLOEXEC)) {}
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  ~File() {
    if (fd_ >= 0) ::close(fd_);
  }
  std::string read(std::uint64_t at, std::size_t size) const {
    std::string bytes(size, '\0');
    const ssize_t n = fd_ < 0 ? 0 : ::pread(fd_, bytes.data(), size, static_cast<off_t>(at));
    bytes.resize(n < 0 ? 0 : static_cast<std::size_t>(n));
    return bytes;
  }

 private:
  int fd_;
};

template <class T>
bool take(const std::string& bytes, std::size_t at, T& to) {
  if (at > bytes.size() || bytes.size() - at < sizeof to) return false;
  std::memcpy(&to, bytes.data() + at, sizeof to);
  return true;
}

// The dynamic loader that the program asks for; empty: none.
std::string loader_of(const File& file, const Elf64_Ehdr& header) {
  constexpr std::size_t kMostSegments = 4096;
  if (header.e_phentsize != sizeof(Elf64_Phdr) || header.e_phnum > kMostSegments) return {};
  const std::string table = file.read(header.e_phoff, header.e_phnum * sizeof(Elf64_Phdr));
  Elf64_Phdr segment;
  for (std::size_t at = 0; take(table, at, segment); at += sizeof segment) {
    if (segment.p_type == PT_INTERP && segment.p_filesz <= PATH_MAX) {
      return file.read(segment.p_offset, segment.p_filesz).c_str();
    }
  }
  return {};
}

std::string obstacle_in_elf(const File& file, const std::string& bytes) {
  Elf64_Ehdr header, own;
  const File self("/proc/self/exe");
  if (!take(self.read(0, sizeof own), 0, own)) return {};
  if (!take(bytes, 0, header) || header.e_ident[EI_CLASS] != own.e_ident[EI_CLASS] ||
      header.e_ident[EI_DATA] != own.e_ident[EI_DATA] || header.e_machine != own.e_machine) {
    return "is made for another machine than corewise";
  }
  const std::string loader = loader_of(file, header);
  if (loader.empty()) return "is statically linked";
  if (file_name(loader) != file_name(loader_of(self, own))) {
    return fmt::format("is made for another C library ({})", printable(loader, false));
  }
  return {};
}

// The loader takes no libraries from the environment where a program gains rights.
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

std::string interpreter_in(const std::string& bytes) {
  std::string_view line(bytes);
  line = line.substr(2, line.find('\n') - 2);
  line.remove_prefix(std::min(line.find_first_not_of(" \t"), line.size()));
  return std::string(line.substr(0, line.find_first_of(" \t\r")));
}

std::string obstacle_to(const std::string& path, int depth = 0) {
  const File file(path);
  const std::string bytes = file.read(0, PATH_MAX);
  const bool script = bytes.starts_with("#!");
  if (!script && bytes.starts_with(ELFMAG)) {
    const std::string rights = obstacle_in_rights(path);
    return rights.empty() ? obstacle_in_elf(file, bytes) : rights;
  }
  // What is no program to the kernel, execvp hands to the shell. A file that may be run but not
  // read is taken for an ordinary program.
  if (bytes.empty() || depth == kMostInterpreters) return {};
  const std::string interpreter = script ? interpreter_in(bytes) : "/bin/sh";
  std::string obstacle = obstacle_to(interpreter, depth + 1);
  if (obstacle.empty() || obstacle.starts_with("is run by ")) return obstacle;
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

}  // namespace

Target find_target(const std::string& command) {
  Target target;
  target.path = find_in_path(command);
  if (target.path.empty()) return target;
  target.obstacle = obstacle_to(target.path);
  target.binary = File(target.path).read(0, SELFMAG) == ELFMAG;
  return target;
}

int become(const std::vector<std::string>& words, const Target& target) {
  std::vector<char*> arguments;
  for (const std::string& word : words) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  if (target.binary) ::execv(target.path.c_str(), arguments.data());
  if (!target.binary) ::execvp(arguments[0], arguments.data());
  const int reason = errno;
  const std::string shown = printable(words.front(), false);
  if (reason != ENOENT) {
    return fail(kCannotStart, fmt::format("cannot start '{}': {}", shown, std::strerror(reason)));
  }
  if (words.front().find('/') != std::string::npos && ::access(words.front().c_str(), F_OK) == 0) {
    return fail(kCannotStart,
                fmt::format("cannot start '{}': its interpreter or loader does not exist", shown),
                "its first line, or `file`, names the one it wants");
  }
  return fail(kNotFound, fmt::format("'{}' was not found", shown),
              words.front().find('/') == std::string::npos ? "is its folder in PATH?" : "");
}

}  // namespace corewise::cli
