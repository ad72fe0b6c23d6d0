// A machine whose files and variables a test keeps in memory and may change.
#pragma once

#include <algorithm>
#include <map>
#include <string>

#include "os/machine.h"

namespace corewise::test {

class MapMachine final : public os::Machine {
 public:
  std::map<std::string, std::string> files;
  std::map<std::string, std::string> variables;
  std::optional<os::ProcessMask> own;
  mutable int reads = 0;

  os::FileText read(const std::string& path) const override {
    ++reads;
    const auto found = files.find(path);
    if (found == files.end()) return {};
    return {os::FileText::Access::kRead, found->second};
  }
  std::vector<std::string> list(const std::string& folder) const override {
    std::vector<std::string> names;
    for (const auto& [path, text] : files) {
      if (!path.starts_with(folder + "/")) continue;
      std::string name = path.substr(folder.size() + 1);
      name.resize(std::min(name.find('/'), name.size()));
      if (names.empty() || names.back() != name) names.push_back(std::move(name));
    }
    return names;
  }
  std::optional<os::ProcessMask> process_mask(const std::string&) const override { return own; }
  std::optional<std::string> variable(const char* name) const override {
    const auto found = variables.find(name);
    if (found == variables.end()) return std::nullopt;
    return found->second;
  }
};

// Eight CPUs, no limit, everything told.
inline MapMachine eight_cpus() {
  MapMachine machine;
  const std::string cpu = "/sys/devices/system/cpu";
  machine.files[cpu + "/online"] = "0-7\n";
  for (int i = 0; i < 8; ++i) {
    const std::string here = cpu + "/cpu" + std::to_string(i) + "/topology";
    machine.files[here + "/thread_siblings_list"] = std::to_string(i) + "\n";
    machine.files[here + "/physical_package_id"] = "0\n";
  }
  machine.files["/proc/self/status"] = "Name:\tx\nCpus_allowed_list:\t0-7\nThreads:\t1\n";
  machine.files["/proc/self/cgroup"] = "0::/a/b\n";
  machine.files["/proc/self/mountinfo"] = "30 24 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n";
  machine.files["/sys/fs/cgroup/a/b/cpu.max"] = "max 100000\n";
  return machine;
}

}  // namespace corewise::test
