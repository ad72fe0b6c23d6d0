#include "bound_function.h"

#include <algorithm>
#include <cstdint>
#include <optional>
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
    const LiveSymbols symbols(module);
    const auto symbol = symbols.find(function);
    if (symbol) all.push_back({module, symbols->has_version(*symbol)});
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

bool has(const std::vector<void*>& all, void* function) {
  return std::ranges::find(all, function) != all.end();
}

// The first of the candidates below that module (empty: in the global scope). dlsym gives the first
// without a version or with the default one, dlvsym passes over those without.
void* first_below(const std::string& module, const char* function, const std::string& version,
                  const std::vector<void*>& candidates) {
  void* const any = os::find_function(module.c_str(), function, {});
  if (has(candidates, any)) return any;
  void* const exact = os::find_function(module.c_str(), function, version);
  return has(candidates, exact) ? exact : nullptr;
}

}  // namespace

void* bound_function(const std::string& module, const char* function, const std::string& version) {
  std::vector<void*> candidates;
  const bool from_start =
      module.empty() || std::ranges::find(start_modules(), module) != start_modules().end();
  for (const Definition& definition : definitions(function)) {
    void* const own = own_function(definition, function, version);
    if (own == nullptr || has(candidates, own)) continue;
    // In the loader's list the libraries of the start come first, in the order of the search.
    if (from_start) return own;
    candidates.push_back(own);
  }
  if (void* const everywhere = first_below({}, function, version, candidates)) {
    void* const below = first_below(module, function, version, candidates);
    return below == nullptr || below == everywhere ? everywhere : nullptr;
  }
  return candidates.size() == 1 ? candidates.front() : nullptr;
}

void remember_start() {
  os::visit_modules([](const os::LoadedModule& module) { start_modules().push_back(module.name); });
}

}  // namespace corewise::elf
