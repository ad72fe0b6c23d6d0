// The modules of another process, and what can be seen of each.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "elf/elf_reader.h"
#include "os/os.h"
#include "pools/pool.h"

namespace corewise::outside {

// A pool of another process.
struct OutsidePool {
  Pool pool;
  OutsideCount count;
};

// Another process's memory: the live one's, or bytes of a recording.
class Memory final : public elf::Bytes {
 public:
  explicit Memory(int pid) : pid_(pid) {}
  explicit Memory(const std::string& recording);
  bool read(std::uint64_t address, void* out, std::size_t n) const override;
  // The system refused a read; nothing was merely out of range.
  bool refused() const { return refused_; }

 private:
  int pid_ = 0;
  std::map<std::uint64_t, std::string> recorded_;
  mutable bool refused_ = false;
};

// A module as the mappings show it.
struct MappedModule {
  std::string path;
  std::uintptr_t begin = 0;  // of the mapping that holds the start of the file
  std::uintptr_t end = 0;
  bool deleted = false;
};

// Mapped files that hold code, by address. A file loaded twice counts twice.
std::vector<MappedModule> modules_in(const std::vector<os::Mapping>& mappings);

// What read_module() needs besides the module.
struct Surroundings {
  const std::string& folder;  // /proc/PID or the recording
  const Memory& memory;
  const std::vector<std::string>& environment;
};

// The pool in a module; nullopt if it holds none; an Error if it cannot be read.
Result<std::optional<OutsidePool>> read_module(const MappedModule& module,
                                               const Surroundings& around);

}  // namespace corewise::outside
