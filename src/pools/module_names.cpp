#include "module_names.h"

#include "elf/trusted_local.h"
#include "os/patch.h"

namespace corewise {

ModuleNames::ModuleNames(const Pool& pool) : path_(pool.loader_path) {
  os::visit_modules([&](const os::LoadedModule& module) {
    if (module.base == pool.base) module_ = module;
  });
}

SymbolExtent ModuleNames::exported(const std::string& name) const {
  if (module_.dynamic == 0) return {};
  const auto symbol = elf::LiveSymbols(module_).find(name);
  return symbol ? SymbolExtent{module_.base + symbol->value, symbol->size} : SymbolExtent{};
}

SymbolExtent ModuleNames::anywhere(const std::string& name) const {
  if (const SymbolExtent extent = exported(name); extent.address != 0) return extent;
  const auto file = elf::File::open(path_);
  if (!file) return {};
  const auto local = elf::trusted_local(*file, elf::LiveBytes(module_), module_.base, name);
  return local ? SymbolExtent{module_.base + local->value, local->size} : SymbolExtent{};
}

}  // namespace corewise
