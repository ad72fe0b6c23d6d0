#include "describe.h"

#include <algorithm>

#include "base/text.h"
#include "elf/bound_function.h"
#include "elf/elf_reader.h"

namespace corewise {
namespace {

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  return text;
}

// A module of this process, whose functions may be called.
class LiveLookup final : public ModuleLookup {
 public:
  LiveLookup(const os::LoadedModule& module, const elf::Symbols& symbols)
      : ModuleLookup(module.path, module.base, symbols), module_(module) {}

  std::uintptr_t callee(std::string_view name) const override {
    const auto found = symbols_.imported(name);
    if (!found) return 0;
    std::uintptr_t target = 0;
    const elf::LiveBytes bytes(module_);
    if (!bytes.read(module_.base + found->entry, &target, sizeof target)) return 0;
    // A GOT entry that is not used yet leads to the module's own resolver stub.
    if (!module_.contains(target)) return target;
    return reinterpret_cast<std::uintptr_t>(
        elf::bound_function(module_.name, std::string(name).c_str(), found->version));
  }

 private:
  const os::LoadedModule& module_;
};

}  // namespace

std::uintptr_t ModuleLookup::address(std::string_view name) const {
  // Only functions: the caller will call the address, or show that it can be called.
  const auto symbol = symbols_.find(name);
  return symbol && symbol->function ? base_ + static_cast<std::uintptr_t>(symbol->value) : 0;
}
std::string ModuleLookup::file_name() const {
  return lower(std::string(corewise::file_name(path_)));
}
std::string ModuleLookup::soname() const { return lower(symbols_.soname()); }

const Runtime* recognise(const SymbolLookup& symbols, Proof& proof) {
  for (const Runtime* runtime : runtimes()) {
    Proof found;
    if (runtime->prove(symbols, found)) {
      proof = std::move(found);
      return runtime;
    }
  }
  return nullptr;
}

std::string name_prefix(const Runtime& runtime, const SymbolLookup& symbols) {
  const std::string file = symbols.file_name();
  for (const std::string& name : {file, symbols.soname()}) {
    for (const char* prefix : runtime.prefixes) {
      if (name.starts_with(prefix)) return prefix;
    }
  }
  return file.substr(0, file.find('.'));
}

std::unique_ptr<Pool> describe(const os::LoadedModule& module, os::Held& held) {
  const elf::LiveSymbols symbols(module);
  if (!symbols) return nullptr;
  const LiveLookup lookup(module, *symbols);
  Proof proof;
  const Runtime* runtime = recognise(lookup, proof);
  if (runtime == nullptr) return nullptr;
  held.forever();

  auto pool = std::make_unique<Pool>();
  pool->runtime = runtime;
  pool->proof = std::move(proof);
  pool->prefix = name_prefix(*runtime, lookup);
  pool->path = os::real_path(module.path);
  if (pool->path.empty()) pool->path = module.path;
  pool->loader_path = module.name;
  pool->base = module.base;
  runtime->describe(*pool);
  return pool;
}

}  // namespace corewise
