#include "describe.h"

#include <algorithm>

#include "discover.h"
#include "elf_reader.h"

namespace corewise {
namespace {

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  return text;
}

std::string base_name(const std::string& path) { return path.substr(path.rfind('/') + 1); }

class LiveLookup final : public SymbolLookup {
 public:
  LiveLookup(const os::LoadedModule& module, const elf::Symbols& symbols)
      : module_(module), symbols_(symbols) {}

  std::uintptr_t address(std::string_view name) const override {
    // Whatever it is found for is going to be called.
    const auto symbol = symbols_.find(name);
    return symbol && symbol->function ? module_.base + static_cast<std::uintptr_t>(symbol->value)
                                      : 0;
  }
  std::string file_name() const override { return lower(base_name(module_.path)); }
  std::string soname() const override { return lower(symbols_.soname()); }

  std::uintptr_t callee(std::string_view name) const override {
    const auto slot = symbols_.import_slot(name);
    if (!slot) return 0;
    std::uintptr_t target = 0;
    const elf::LiveBytes bytes(module_);
    if (!bytes.read(module_.base + *slot, &target, sizeof target)) return 0;
    // A slot that was not used yet leads to the module's own resolver stub.
    for (const os::Segment& own : module_.segments) {
      if (target >= own.begin && target < own.end) {
        return reinterpret_cast<std::uintptr_t>(
            os::symbol_seen_by(module_.name, std::string(name).c_str()));
      }
    }
    return target;
  }

 private:
  const os::LoadedModule& module_;
  const elf::Symbols& symbols_;
};

}  // namespace

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
  const elf::LiveBytes bytes(module);
  const auto symbols = elf::Symbols::from_dynamic(bytes, module.dynamic, module.base);
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
  for (std::size_t id = 0; runtime->same != nullptr && id < pool_count(); ++id) {
    if (pool_at(id).runtime == runtime && runtime->same(*pool, pool_at(id))) return nullptr;
  }
  return pool;
}

}  // namespace corewise
