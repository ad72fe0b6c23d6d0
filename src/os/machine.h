// The machine as corewise reads it: small text files below a root folder, and variables.
//
// Live, the root is "/" and the variables are this process's. Recorded, the root is a folder that
// holds proc/, sys/ and a file env, so that any machine, or any corner of one, is a test. Readers
// never learn which they have.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

namespace corewise::os {

// What became of a read. A missing file is an ordinary answer; an unreadable one deserves a word.
struct FileText {
  enum class State { kRead, kMissing, kUnreadable };
  State state = State::kMissing;
  std::string text;  // the bytes when read, the reason when unreadable
  friend bool operator==(const FileText&, const FileText&) = default;
};

class Machine {
 public:
  virtual ~Machine() = default;

  // `path` is absolute as on the machine itself, "/proc/self/cgroup".
  virtual FileText read(const std::string& path) const = 0;

  virtual std::optional<std::string> variable(const char* name) const = 0;

  // The main thread's CPUs in the form of Cpus_allowed_list, asked of the kernel, for systems whose
  // /proc does not tell. Nothing when there is no kernel to ask.
  virtual std::optional<std::string> affinity() const { return std::nullopt; }
};

// This process on this machine. Variables are those of getenv: as with every getenv, no other
// thread may call setenv meanwhile.
class LiveMachine final : public Machine {
 public:
  FileText read(const std::string& path) const override;
  std::optional<std::string> variable(const char* name) const override;
  std::optional<std::string> affinity() const override;
};

// Another process on this machine: its /proc folder in the place of /proc/self, its variables, and
// the file systems that it sees. Of a process recorded in a folder laid out like /proc/PID there is
// nothing else to read: its machine is the CPUs that it might run on.
class ProcessMachine final : public Machine {
 public:
  ProcessMachine(std::string folder, std::vector<std::string> environment, bool live);
  FileText read(const std::string& path) const override;
  std::optional<std::string> variable(const char* name) const override;

 private:
  std::string folder_;
  std::vector<std::string> environment_;  // NAME=value
  bool live_;
};

// A folder with proc/, sys/ and env (lines NAME=VALUE).
class RecordedMachine final : public Machine {
 public:
  explicit RecordedMachine(std::string root);
  FileText read(const std::string& path) const override;
  std::optional<std::string> variable(const char* name) const override;

 private:
  std::string root_;
  std::string env_;
};

}  // namespace corewise::os
