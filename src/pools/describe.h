// Matches modules to runtimes: which kind of pool, if any, a module holds.
#pragma once

#include <memory>
#include <string>

#include "elf/elf_reader.h"
#include "os/os.h"
#include "pool.h"

namespace corewise {

// The names of one module: loaded at `base` from `path`, wherever its bytes are read.
class ModuleLookup : public SymbolLookup {
 public:
  ModuleLookup(std::string_view path, std::uintptr_t base, const elf::Symbols& symbols)
      : path_(path), base_(base), symbols_(symbols) {}

  std::uintptr_t address(std::string_view name) const override;
  std::string file_name() const override;
  std::string soname() const override;

 protected:
  std::string_view path_;
  std::uintptr_t base_;
  const elf::Symbols& symbols_;
};

// The runtime that the symbols prove, and its addresses; null if none.
const Runtime* recognise(const SymbolLookup& symbols, Proof& proof);

// The name prefix by which limits may name a pool: a known prefix of the runtime that the file's
// name, or failing that its DT_SONAME, begins with; else the file's stem.
std::string name_prefix(const Runtime& runtime, const SymbolLookup& symbols);

// The pool in a module of this process, with what is known of it before its first use; null if the
// module holds none. The caller holds the module; if it has a pool, it stays loaded from then on.
// Calls into the library, so the caller must hold no lock but govern's.
std::unique_ptr<Pool> describe(const os::LoadedModule& module, os::Held& held);

}  // namespace corewise
