#include "describe.h"

#include <algorithm>

namespace corewise {
namespace {

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  return text;
}

}  // namespace

std::uintptr_t ModuleLookup::address(std::string_view name) const {
  const auto symbol = symbols_.find(name);
  return symbol ? base_ + static_cast<std::uintptr_t>(symbol->value) : 0;
}
std::string ModuleLookup::file_name() const {
  return lower(std::string(path_.substr(path_.rfind('/') + 1)));
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

std::unique_ptr<Pool> describe(const os::LoadedModule& module) {
  if (module.dynamic == 0) return nullptr;
  const elf::LiveBytes bytes(module);
  const auto symbols = elf::Symbols::from_dynamic(bytes, module.dynamic, module.base);
  if (!symbols) return nullptr;
  const ModuleLookup lookup(module.path, module.base, *symbols);
  Proof proof;
  const Runtime* runtime = recognise(lookup, proof);
  if (runtime == nullptr || !os::pin(module.path)) return nullptr;

  auto pool = std::make_unique<Pool>();
  pool->runtime = runtime;
  pool->proof = std::move(proof);
  pool->prefix = name_prefix(*runtime, lookup);
  pool->path = os::real_path(module.path);
  if (pool->path.empty()) pool->path = module.path;
  pool->loader_path = module.path;
  pool->base = module.base;
  runtime->describe(*pool);
  return pool;
}

}  // namespace corewise
