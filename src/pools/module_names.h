// Looks names up in a loaded module: first what it exports, then .symtab of its file, where names
// that it keeps to itself stand unless it was stripped.
#pragma once

#include <cstdint>
#include <string>

#include "os/os.h"
#include "pool.h"

namespace corewise::govern {

class ModuleNames {
 public:
  explicit ModuleNames(const Pool& pool);

  struct Place {
    std::uintptr_t address = 0;  // 0: there is none
    std::size_t size = 0;
  };
  Place exported(const std::string& name) const;
  // What comes from the file is believed only where it lies inside the module, and of code only
  // where the memory holds the same: the file may have been replaced since it was loaded.
  Place anywhere(const std::string& name) const;

  const os::LoadedModule& module() const { return module_; }

 private:
  os::LoadedModule module_;
  std::string path_;
};

}  // namespace corewise::govern
