// The machine as corewise reads it: small text files below a root folder, and variables.
//
// Live, the root is "/" and the variables are this process's. Recorded, the root is a folder that
// holds proc/, sys/ and a file env, so that any machine, or any corner of one, is a test. Readers
// never learn which they have.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace corewise::os {

// The result of a read. A missing file is an ordinary answer; an unreadable one is worth reporting.
struct FileText {
  enum class Access { kRead, kMissing, kUnreadable };
  Access access = Access::kMissing;
  std::string text;  // the bytes when read, the reason when unreadable
  friend bool operator==(const FileText&, const FileText&) = default;
};

// The CPUs that a process's main thread may run on, in the kernel's form: bit i of the whole is CPU
// i. The kernel may change them at any time.
struct MainThreadMask {
  // The most CPUs that a kernel can be built for.
  static constexpr std::size_t kMostCpus = 8192;
  std::array<std::uint64_t, kMostCpus / 64> words{};
  bool known = false;

  int count() const noexcept;
  // "0,1,5"
  std::string to_list() const;
  friend bool operator==(const MainThreadMask&, const MainThreadMask&) = default;
};

// This process's mask. For hooks: one system call besides getpid, no allocation, no lock, and errno
// stays the same.
MainThreadMask main_thread_mask() noexcept;

// What a process knows of its own CPUs beyond its main thread's mask.
struct ProcessMask {
  std::string cpus;    // in the form of Cpus_allowed_list
  bool bound = false;  // an OpenMP runtime bound its main thread, which may use fewer
};

class Machine {
 public:
  virtual ~Machine() = default;

  // `path` is absolute as on the machine itself, "/proc/self/cgroup".
  virtual FileText read(const std::string& path) const = 0;

  virtual std::optional<std::string> variable(const char* name) const = 0;

  // The main thread's CPUs in the form of Cpus_allowed_list, from a system call, for systems whose
  // /proc does not tell. Nothing if there is no kernel to ask.
  virtual std::optional<std::string> affinity() const { return std::nullopt; }

  // The names in a folder, in any order; empty if it cannot be listed.
  virtual std::vector<std::string> list(const std::string& folder) const = 0;

  // The process's own CPUs, given its main thread's in the form of Cpus_allowed_list. Nothing if
  // the machine is read from outside: we cannot tell there who narrowed a mask.
  virtual std::optional<ProcessMask> process_mask(const std::string& /*main_thread*/) const {
    return std::nullopt;
  }
};

// Whether the variable is what `corewise run` set and not the user: it keeps the value in `marker`
// too.
bool is_set_by_run(const Machine& machine, const char* name, const char* marker);

// This process on this machine.
class LiveMachine : public Machine {
 public:
  FileText read(const std::string& path) const override;
  std::optional<std::string> variable(const char* name) const override;
  std::vector<std::string> list(const std::string& folder) const override;
  std::optional<std::string> affinity() const override;
};

// Another process on this machine: its /proc folder in place of /proc/self, its variables, and the
// file systems that it sees. A process recorded in a folder laid out like /proc/PID has nothing
// else to read: its machine is the CPUs that it might run on.
class ProcessMachine : public Machine {
 public:
  ProcessMachine(std::string folder, std::vector<std::string> environment, bool live);
  FileText read(const std::string& path) const override;
  std::optional<std::string> variable(const char* name) const override;
  std::vector<std::string> list(const std::string& folder) const override;

 private:
  std::string folder_;
  std::vector<std::string> environment_;  // NAME=value
  bool live_;

  // Where to read `path` of the process; empty: nowhere.
  std::string place_of(const std::string& path) const;
};

// A folder with proc/, sys/ and env (lines NAME=VALUE).
class RecordedMachine final : public Machine {
 public:
  explicit RecordedMachine(std::string root);
  FileText read(const std::string& path) const override;
  std::optional<std::string> variable(const char* name) const override;
  std::vector<std::string> list(const std::string& folder) const override;

 private:
  std::string root_;
  std::string env_;
};

}  // namespace corewise::os
