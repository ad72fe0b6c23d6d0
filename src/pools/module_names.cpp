#include "module_names.h"

#include <vector>

#include "elf/elf_reader.h"
#include "os/patch.h"

namespace corewise {

ModuleNames::ModuleNames(const Pool& pool) : path_(pool.loader_path) {
  os::visit_modules([&](const os::LoadedModule& module) {
    if (module.base == pool.base) module_ = module;
  });
}

SymbolExtent ModuleNames::exported(const std::string& name) const {
  if (module_.dynamic == 0) return {};
  const elf::LiveBytes bytes(module_);
  const auto symbols = elf::Symbols::from_dynamic(bytes, module_.dynamic, module_.base);
  if (!symbols) return {};
  const auto symbol = symbols->find(name);
  return symbol ? SymbolExtent{module_.base + symbol->value, symbol->size} : SymbolExtent{};
}

SymbolExtent ModuleNames::anywhere(const std::string& name) const {
  if (const SymbolExtent extent = exported(name); extent.address != 0) return extent;
  constexpr std::size_t kMost = 65536;
  const auto file = elf::File::open(path_);
  if (!file) return {};
  const auto local = file->find_local(name);
  if (!local || local->size == 0 || local->size > kMost) return {};
  const elf::LiveBytes bytes(module_);
  std::vector<char> memory(local->size);
  std::vector<char> stored(local->size);
  if (!bytes.read(module_.base + local->value, memory.data(), memory.size())) return {};
  if (local->function &&
      (!file->read(local->value, stored.data(), stored.size()) || memory != stored)) {
    return {};
  }
  return {module_.base + local->value, local->size};
}

}  // namespace corewise
