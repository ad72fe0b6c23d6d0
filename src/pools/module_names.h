// Looks names up in a loaded module: first in its exports, then in the .symtab of its file, which
// holds its private names unless the file was stripped.
#pragma once

#include <string>

#include "os/os.h"
#include "pool.h"

namespace corewise {

class ModuleNames {
 public:
  explicit ModuleNames(const Pool& pool);

  SymbolExtent exported(const std::string& name) const;
  // Local names too, as far as they can be trusted (elf/trusted_local.h).
  SymbolExtent anywhere(const std::string& name) const;

  const os::LoadedModule& module() const { return module_; }

 private:
  os::LoadedModule module_;
  std::string path_;
};

}  // namespace corewise
