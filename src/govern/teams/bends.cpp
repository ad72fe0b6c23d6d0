#include "bends.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <iterator>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>

#include "base/text.h"
#include "bend_name.h"
#include "bend_table.h"
#include "elf/elf_reader.h"
#include "govern/grants/gate.h"
#include "installed_version.h"
#include "os/os.h"
#include "os/patch.h"

namespace corewise::govern {
namespace {

// Hooks may read one list while the next is published, so none is ever freed. There is a new one
// only when a library that bends comes or goes.
using Found = std::vector<Bending>;
constinit std::atomic<const Found*> published{nullptr};

struct KnownBends {
  os::KnownModules seen;
  Found found;
  std::vector<std::string> matched;  // names in COREWISE_BEND, also of libraries unloaded since
  std::string asked;                 // what the variables said at the last pass
  // All that was ever published: a hook may still read it, and a leak checker must find it.
  std::vector<std::unique_ptr<const Found>> kept;
};

// Never destroyed: other threads may come here while the process exits.
KnownBends& known_bends() {
  static auto* made = new KnownBends;
  return *made;
}

constexpr const char* kBend = "COREWISE_BEND";
constexpr const char* kTryBend = "COREWISE_TRY_BEND";
constexpr const char* kExact = "COREWISE_EXACT_TEAMS";

bool is_trial() { return os::variable(kTryBend).has_value(); }

std::string asked_by_variables() {
  std::string all;
  for (const char* name : {kBend, kTryBend, kExact}) {
    if (const auto value = os::variable(name)) all.append("=").append(*value);
    all += '\n';
  }
  return all;
}

std::vector<std::string> names_in(const char* name_of_variable) {
  return names_between_colons(os::variable(name_of_variable).value_or(""));
}

bool holds_constant(const os::LoadedModule& module, std::string_view constant) {
  return std::ranges::any_of(module.segments, [&](const os::Segment& segment) {
    return segment.readable &&
           ::memmem(reinterpret_cast<const void*>(segment.begin), segment.end - segment.begin,
                    constant.data(), constant.size()) != nullptr;
  });
}

const BendRow* row_of(const os::LoadedModule& module) {
  if (module.dynamic == 0) return nullptr;
  const elf::LiveSymbols symbols(module);
  for (const BendRow& row : bend_table()) {
    if (symbols.find(row.symbol) && holds_constant(module, row.constant)) return &row;
  }
  return nullptr;
}

// Whether the file at the path is the one that was loaded: an upgrade of the package may have
// replaced it since, along with the files beside it. The first part that the module does not write
// to holds its build ID or, without one, its symbol tables. (An inode proves nothing: overlayfs and
// btrfs show different ones in the maps.)
bool is_file_at(const os::LoadedModule& module, const std::string& path) {
  constexpr std::uint64_t kMost = 64 << 10;
  const auto file = elf::File::open(path);
  if (!file) return false;
  const auto part = std::ranges::find(file->loads(), false, &elf::File::Load::writable);
  if (part == file->loads().end()) return false;
  std::vector<char> there(std::min(part->file_size, kMost));
  std::vector<char> here(there.size());
  return file->read(part->address, there.data(), there.size()) &&
         elf::LiveBytes(module).read(module.base + part->address, here.data(), here.size()) &&
         here == there;
}

// The version that a row's library was installed as. If a program copied the module into a package
// of its own, the files beside it say nothing about the library.
std::optional<std::string> version_of(const BendRow& row, const os::LoadedModule& module,
                                      const std::string& path) {
  std::string in_package = "/" + std::string(row.module) + ".";
  std::replace(in_package.begin(), in_package.end() - 1, '.', '/');
  const std::size_t at = path.rfind(in_package);
  if (at == path.npos || path.find('/', at + in_package.size()) != path.npos) return std::nullopt;
  if (!is_file_at(module, path)) return std::nullopt;
  return installed_version(path.substr(0, at), row.metadata, path.substr(at + 1));
}

// The library and its version, if that version was tried.
std::optional<std::string> proven(const os::LoadedModule& module, const std::string& path) {
  const BendRow* const row = row_of(module);
  if (row == nullptr) return std::nullopt;
  const auto version = version_of(*row, module, path);
  if (!version || std::ranges::find(row->versions, *version) == row->versions.end()) {
    return std::nullopt;
  }
  return std::string(row->library) + " " + *version;
}

// A module's path: as the loader has it, and absolute.
struct Paths {
  std::string own;
  std::string absolute;
};

// A library that was loaded by a relative path keeps it as its name, though the program may have
// changed its working directory since. The kernel knows the file.
std::string absolute_path(const os::LoadedModule& module) {
  const auto text = os::read_file("/proc/self/maps");
  if (!text || module.segments.empty()) return module.path;
  const std::uintptr_t address = module.segments.front().begin;
  for (os::Mapping& mapping : os::parse_maps(*text)) {
    if (address < mapping.begin || address >= mapping.end) continue;
    if (mapping.path.starts_with('/')) return std::move(mapping.path);
  }
  return module.path;
}

Paths paths_of(const os::LoadedModule& module, const std::string& program) {
  // The loader gives the program itself no name.
  const std::string& path = module.path.empty() ? program : module.path;
  // The kernel's own module has a name without folders.
  const bool relative = !path.starts_with('/') && path.find('/') != path.npos;
  return {path, relative ? absolute_path(module) : path};
}

// What one search found.
struct BendSearch {
  bool trial = is_trial();
  std::vector<std::string> bend = names_in(trial ? kTryBend : kBend);
  std::vector<std::string> exact = names_in(kExact);
  std::string program = os::program_path();
  Found found;
  std::vector<std::string> matched;

  std::vector<std::string> names_of(const Paths& paths) const {
    std::vector<std::string> names;
    std::ranges::copy_if(bend, std::back_inserter(names), [&](const std::string& name) {
      return names_library(name, paths.own) || names_library(name, paths.absolute);
    });
    return names;
  }

  bool is_exact(const Paths& paths) const {
    return std::ranges::any_of(exact, [&](const std::string& part) {
      return paths.own.find(part) != paths.own.npos ||
             paths.absolute.find(part) != paths.absolute.npos;
    });
  }

  // Runs under the loader's lock, so that the module stays while we read its memory. At most it
  // reads a few files there, as the loader itself does.
  void visit(const os::LoadedModule& module) {
    const Paths paths = paths_of(module, program);
    std::vector<std::string> names = names_of(paths);
    matched.insert(matched.end(), names.begin(), names.end());
    if (!trial && is_exact(paths)) return;
    if (!names.empty()) {
      found.push_back({paths.own, trial ? kTryBend : kBend, std::move(names), CodeRange(module)});
    } else if (trial) {
      return;
    } else if (auto library = proven(module, paths.absolute)) {
      found.push_back({paths.own, std::move(*library), {}, CodeRange(module)});
    }
  }
};

}  // namespace

bool bends(std::uintptr_t function) {
  return std::ranges::any_of(bending_now(),
                             [&](const Bending& bending) { return bending.code.holds(function); });
}

void find_bending() {
  KnownBends& known = known_bends();
  // A notebook sets them after its libraries were seen: then check all of them again.
  if (std::string asked = asked_by_variables(); asked != known.asked) {
    known.asked = std::move(asked);
    known.seen = {};
    known.found.clear();
    known.matched.clear();
    published.store(nullptr, std::memory_order_release);
  }
  BendSearch search;
  const std::uint64_t unloads = known.seen.subs;
  os::visit_new_modules(known.seen, [&](const os::LoadedModule& module) { search.visit(module); });
  // After an unload another library may be in that place, so all modules were visited again.
  if (known.seen.subs != unloads) known.found.clear();
  std::ranges::move(search.found, std::back_inserter(known.found));
  for (std::string& name : search.matched) {
    if (std::ranges::find(known.matched, name) != known.matched.end()) continue;
    known.matched.push_back(std::move(name));
  }
  if (std::ranges::equal(known.found, bending_now(), {}, &Bending::code, &Bending::code)) return;
  known.kept.push_back(std::make_unique<const Found>(known.found));
  published.store(known.kept.back().get(), std::memory_order_release);
}

std::span<const Bending> bending_now() {
  const Found* const found = published.load(std::memory_order_acquire);
  return found != nullptr ? std::span<const Bending>(*found) : std::span<const Bending>();
}

std::vector<int> team_sizes(std::uint64_t bits) {
  std::vector<int> sizes;
  for (int size = 1; size <= gate::kLastSize; ++size) {
    if ((bits >> static_cast<unsigned>(size) & 1U) != 0) sizes.push_back(size);
  }
  return sizes;
}

std::string team_sizes_in_words(std::uint64_t bits) {
  constexpr std::size_t kFew = 5;
  const std::vector<int> sizes = team_sizes(bits);
  if (sizes.empty()) return "none";
  std::vector<std::string> each;
  for (const int size : sizes) each.push_back(std::to_string(size));
  const std::string text = each.size() > kFew ? each.front() + " to " + each.back() : listed(each);
  return sizes.back() == gate::kLastSize ? text + " or more" : text;
}

std::vector<std::string> unmatched_bends() {
  std::vector<std::string> names = names_in(is_trial() ? kTryBend : kBend);
  std::erase_if(names, [](const std::string& name) {
    return std::ranges::find(known_bends().matched, name) != known_bends().matched.end();
  });
  return names;
}

std::string unmatched_finding(const std::string& name) {
  return std::string(is_trial() ? kTryBend : kBend) + " names '" + name +
         "', which matches no library that was loaded";
}

}  // namespace corewise::govern
