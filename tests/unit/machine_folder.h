// The constructed and recorded machines of tests/recorded, written out for the length of a test.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>
#include <string>

namespace corewise::test {

// Runs make_machines.py into a temporary folder. `script` is found from this header's own place.
class MachineFolder {
 public:
  MachineFolder() {
    // Some 14,000 small files: in memory where that can be had.
    std::string pattern = "/dev/shm/machines.XXXXXX";
    if (mkdtemp(pattern.data()) == nullptr) {
      pattern = (std::filesystem::temp_directory_path() / "machines.XXXXXX").string();
      if (mkdtemp(pattern.data()) == nullptr) return;
    }
    root_ = pattern;
    const auto script = std::filesystem::path(COREWISE_TESTS) / "recorded" / "make_machines.py";
    const std::string command =
        "python3 '" + script.string() + "' '" + root_.string() + "' > /dev/null";
    made_ = std::system(command.c_str()) == 0;
  }
  MachineFolder(const MachineFolder&) = delete;
  MachineFolder& operator=(const MachineFolder&) = delete;
  ~MachineFolder() {
    std::error_code ignored;
    if (!root_.empty()) std::filesystem::remove_all(root_, ignored);
  }

  bool made() const { return made_; }

  // The folders, by name.
  std::set<std::filesystem::path> all() const {
    std::set<std::filesystem::path> folders;
    for (const auto& entry : std::filesystem::directory_iterator(root_)) {
      folders.insert(entry.path());
    }
    return folders;
  }

 private:
  std::filesystem::path root_;
  bool made_ = false;
};

inline std::string slurp(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

}  // namespace corewise::test
