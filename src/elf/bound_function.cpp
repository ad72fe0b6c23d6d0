#include "bound_function.h"

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "elf_reader.h"
#include "os/os.h"
#include "os/patch.h"

namespace corewise::elf {
namespace {

// Their names, as the loader has them.
std::vector<std::string>& start_modules() {
  static auto* const kAll = new std::vector<std::string>;
  return *kAll;
}

struct Definition {
  os::LoadedModule module;
  bool has_version = false;
};

std::vector<Definition> definitions(const char* function) {
  std::vector<Definition> all;
  os::visit_modules([&](const os::LoadedModule& module) {
    const LiveBytes bytes(module);
    const auto symbols = Symbols::from_dynamic(bytes, module.dynamic, module.base);
    if (!symbols || !symbols->find(function)) return;
    all.push_back({module, symbols->has_version(function)});
  });
  return all;
}

// The module's own function, if it serves that need. One without a version serves any.
void* own_function(const Definition& definition, const char* function, const std::string& version) {
  const std::string need = definition.has_version ? version : std::string();
  void* const found = os::find_function(definition.module.name.c_str(), function, need);
  // dlsym goes on to the libraries below, which are asked in their turn.
  return definition.module.contains(reinterpret_cast<std::uintptr_t>(found)) ? found : nullptr;
}

}  // namespace

void* bound_function(const std::string& module, const char* function, const std::string& version) {
  std::vector<void*> found;
  const bool from_start =
      module.empty() || std::ranges::find(start_modules(), module) != start_modules().end();
  for (const Definition& definition : definitions(function)) {
    void* const own = own_function(definition, function, version);
    if (own == nullptr || std::ranges::find(found, own) != found.end()) continue;
    found.push_back(own);
    // In the loader's list the libraries of the start come first, in the order of the search.
    if (from_start) break;
  }
  return found.size() == 1 ? found.front() : nullptr;
}

void remember_start() {
  os::visit_modules([](const os::LoadedModule& module) { start_modules().push_back(module.name); });
}

}  // namespace corewise::elf
