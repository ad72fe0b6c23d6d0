// Looks names up in a loaded module: first what it exports, then .symtab of its file, where names
// that it keeps to itself stand unless it was stripped.
#pragma once

#include <cstdint>
#include <string>

#include "os/os.h"
#include "pool.h"

namespace corewise {

class ModuleNames {
 public:
  explicit ModuleNames(const Pool& pool);

  SymbolExtent exported(const std::string& name) const;
  // What comes from the file is believed only where it lies inside the module, and of code only
  // where the memory holds the same: the file may have been replaced since it was loaded.
  SymbolExtent anywhere(const std::string& name) const;

  const os::LoadedModule& module() const { return module_; }

 private:
  os::LoadedModule module_;
  std::string path_;
};

}  // namespace corewise
