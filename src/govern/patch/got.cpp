// GOT entries: found in the relocations of each module, as the loader keeps them in memory.
//
// Three steps, because of locks. First a walk under the loader's lock, which only reads. Then,
// holding no lock, we ask the loader which function an entry that is not bound yet will get. Then a
// second walk writes the GOT entries that still hold what was read; only there are the loader's
// lock and ours held together.
#include <elf.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "elf/bound_function.h"
#include "elf/elf_reader.h"
#include "hook.h"

namespace corewise::govern {
namespace {

// A module's tables that say which symbol a GOT entry belongs to.
class Relocations {
 public:
  explicit Relocations(const os::LoadedModule& module) : module_(module) {
    if (module.dynamic == 0) return;
    const elf::LiveBytes bytes(module);
    if (auto found = elf::read_dynamic(bytes, module.dynamic, module.base)) tables_ = *found;
  }

  // visit(name, GOT entry's address, number of the symbol, whether the module leaves it to others)
  template <class Visit>
  void each(Visit visit) const {
    const elf::Dynamic::Table& strings = tables_.strings;
    if (!module_.is_readable(strings.address, strings.size)) return;
    for (const elf::Dynamic::Table& table : {tables_.plt_relocations, tables_.data_relocations}) {
      if (table.size == 0 || !module_.is_readable(table.address, table.size)) continue;
      const auto* first = reinterpret_cast<const Elf64_Rela*>(table.address);
      for (std::size_t i = 0; i < table.size / sizeof *first; ++i) {
        if (!elf::is_got_entry(ELF64_R_TYPE(first[i].r_info))) continue;
        const std::uint64_t number = ELF64_R_SYM(first[i].r_info);
        const std::uintptr_t symbol = tables_.symbols + number * sizeof(Elf64_Sym);
        const std::uintptr_t entry = module_.base + first[i].r_offset;
        if (entry % 8 != 0 || !module_.is_readable(symbol, sizeof(Elf64_Sym)) ||
            !module_.is_readable(entry, 8)) {
          continue;
        }
        const auto& sym = *reinterpret_cast<const Elf64_Sym*>(symbol);
        if (sym.st_name >= strings.size) continue;
        visit(reinterpret_cast<const char*>(strings.address) + sym.st_name, entry, number,
              sym.st_shndx == SHN_UNDEF);
      }
    }
  }

  std::string version(std::uint64_t symbol) const {
    return elf::needed_version(elf::LiveBytes(module_), tables_, symbol);
  }

 private:
  const os::LoadedModule& module_;
  elf::Dynamic tables_;
};

void put(code::CodeWord& word, std::uintptr_t value) {
  std::memcpy(word.bytes.data(), &value, sizeof value);
}

// The Origin that replacements get: one for each function that was ever replaced, kept for good,
// since a thread may be about to use it.
const Origin& origin_for(const char* symbol, void* function) {
  const std::lock_guard lock(hook_lock());
  static auto* all = new std::vector<const Origin*>;
  for (const Origin* origin : *all) {
    if (origin->function == function && std::strcmp(origin->symbol, symbol) == 0) return *origin;
  }
  all->push_back(new Origin{symbol, function});
  return *all->back();
}

Result<std::uintptr_t> target_for(const GotRequest& request, void* function) {
  if (request.arguments < 0) return reinterpret_cast<std::uintptr_t>(request.replacement);
  const auto* machine = code::native();
  if (machine == nullptr) return Error{CW_NOT_AVAILABLE, "this kind of processor is not known"};
  const Origin& origin = origin_for(request.symbol, function);
  return place_code(reinterpret_cast<std::uintptr_t>(&origin), 0, [&](std::uintptr_t) {
    return machine->enter({}, request.arguments, &origin, request.replacement);
  });
}

std::string left_alone(const char* symbol, const std::string& path, const std::string& why) {
  return std::string(symbol) + " as called by " + (path.empty() ? "the program itself" : path) +
         " is left alone: " + why;
}

}  // namespace

std::vector<std::string> GotEntries::rewrite() {
  std::vector<std::string> left = rewrite_new();
  if (!left.empty()) complete_ = false;
  return left;
}

std::vector<std::string> GotEntries::rewrite_new() {
  std::vector<std::string> left;
  struct Found {
    GotEntry entry;
    const GotRequest* request;
    std::uintptr_t value;
    bool lazy;  // not bound yet
    std::string version;
  };
  std::vector<Found> found;
  const auto search = [&](const os::LoadedModule& module) {
    const Relocations relocations(module);
    relocations.each([&](const char* name, std::uintptr_t at, std::uint64_t symbol, bool foreign) {
      for (const GotRequest& request : requests_) {
        // The first letter rules out most of the hundred thousand names.
        if (*name != *request.symbol || std::strcmp(name, request.symbol) != 0) continue;
        if (module.contains(reinterpret_cast<std::uintptr_t>(request.replacement))) continue;
        const std::uintptr_t value = *reinterpret_cast<const std::uintptr_t*>(at);
        if (value == 0) continue;  // a weak symbol that nobody defines
        const bool inside = module.contains(value);
        // The module has a function of this name, and calls it.
        if (inside && !foreign && request.only == nullptr) continue;
        Found one{
            {module.path, module.base, request.symbol, {}}, &request, value, foreign && inside, {}};
        if (one.lazy) one.version = relocations.version(symbol);
        one.entry.patch.at = at;
        one.entry.patch.relro = at >= module.relro.begin && at < module.relro.end;
        put(one.entry.patch.before, value);
        found.push_back(std::move(one));
      }
    });
  };
  const os::KnownModules seen_before = os::visit_new_modules(seen_, search);

  const auto leave = [&](const GotEntry& entry, const std::string& why) {
    left.push_back(left_alone(entry.symbol, entry.path, why));
  };
  std::erase_if(found, [&](Found& one) {
    for (const GotEntry& known : entries_) {
      if (known.patch.at == one.entry.patch.at && known.base == one.entry.base &&
          known.patch.after.bytes == one.entry.patch.before.bytes) {
        return true;
      }
    }
    void* function = reinterpret_cast<void*>(one.value);
    if (one.lazy) function = elf::bound_function(one.entry.path, one.entry.symbol, one.version);
    if (function == nullptr) {
      // Once the program has called it, the entry says which function it is: we look again at the
      // next load.
      std::erase_if(seen_.places, [&](const auto& place) { return place.first == one.entry.base; });
      if (one.request->only == nullptr) {
        leave(one.entry, "it is not bound yet, and nobody defines it, or two libraries do");
      }
      return true;
    }
    if (one.request->only != nullptr && function != one.request->only) return true;
    const Result<std::uintptr_t> target = target_for(*one.request, function);
    if (!target) {
      leave(one.entry, target.error().what);
      return true;
    }
    put(one.entry.patch.after, *target);
    return false;
  });
  if (found.empty()) return left;

  const std::lock_guard lock(hook_lock());
  Mappings mappings;
  if (mappings.error()) {
    left.push_back("no GOT entry is rewritten: " + mappings.error()->what);
    return left;
  }
  os::visit_modules(seen_before, [&](const os::LoadedModule& module) {
    for (const Found& one : found) {
      if (one.entry.base != module.base || one.entry.path != module.path) continue;
      if (const auto error = exchange_locked(one.entry.patch, Way::install, mappings)) {
        leave(one.entry, error->what);
        continue;
      }
      // The GOT entry that was there before went with its module.
      std::erase_if(entries_,
                    [&](const GotEntry& gone) { return gone.patch.at == one.entry.patch.at; });
      entries_.push_back(one.entry);
    }
  });
  return left;
}

std::vector<std::string> GotEntries::modules(bool (*calls)(std::string_view symbol)) const {
  std::vector<std::string> paths;
  for (const GotEntry& entry : entries_) {
    if (calls(entry.symbol) && std::ranges::find(paths, entry.path) == paths.end()) {
      paths.push_back(entry.path);
    }
  }
  return paths;
}

std::vector<std::string> GotEntries::restore() {
  std::vector<std::string> left;
  if (entries_.empty()) {
    seen_ = {};
    return left;
  }
  const std::lock_guard lock(hook_lock());
  Mappings mappings;
  if (mappings.error()) {
    left.push_back("no GOT entry is restored: " + mappings.error()->what);
    return left;
  }
  std::vector<GotEntry> denied;
  os::visit_modules([&](const os::LoadedModule& module) {
    for (const GotEntry& entry : entries_) {
      if (entry.base != module.base || entry.path != module.path) continue;
      const auto error = exchange_locked(entry.patch, Way::remove, mappings);
      if (!error) continue;
      left.push_back(left_alone(entry.symbol, entry.path, error->what));
      if (error->status == CW_NOT_PERMITTED) denied.push_back(entry);
    }
  });
  seen_ = {};
  // Those of unloaded modules went with them, and those that hold something else now are somebody
  // else's. Those that could not be written are still ours to restore.
  entries_ = std::move(denied);
  return left;
}

}  // namespace corewise::govern
