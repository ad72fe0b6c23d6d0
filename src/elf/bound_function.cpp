#include "bound_function.h"

#include <cstdint>

#include "elf_reader.h"
#include "os/os.h"
#include "os/patch.h"

namespace corewise::elf {
namespace {

// Whether the module that holds the code gives its function of that name no version.
bool is_unversioned(const void* code, const char* function) {
  const auto at = reinterpret_cast<std::uintptr_t>(code);
  bool found = false;
  os::visit_modules([&](const os::LoadedModule& module) {
    if (!module.contains(at)) return;
    const LiveBytes bytes(module);
    const auto symbols = Symbols::from_dynamic(bytes, module.dynamic, module.base);
    found = symbols && !symbols->has_version(function);
  });
  return found;
}

// dlvsym passes over functions without a version, which the loader does not; dlsym takes the
// default version.
void* find(const char* below, const char* function, const std::string& version) {
  void* const first = os::find_function(below, function, {});
  if (version.empty() || first == nullptr) return first;
  void* const exact = os::find_function(below, function, version);
  return first == exact || !is_unversioned(first, function) ? exact : first;
}

}  // namespace

void* bound_function(const std::string& module, const char* function, const std::string& version) {
  void* const everywhere = find(nullptr, function, version);
  void* const below = find(module.c_str(), function, version);
  if (everywhere != nullptr && below != nullptr && everywhere != below) return nullptr;
  return everywhere != nullptr ? everywhere : below;
}

}  // namespace corewise::elf
