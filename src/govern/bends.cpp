#include "bends.h"

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <iterator>
#include <optional>
#include <string_view>

#include "../elf_reader.h"
#include "../os/os.h"
#include "../os/patch.h"
#include "bend_table.h"
#include "code_ranges.h"

namespace corewise::govern {
namespace {

struct Found {
  Bending what;
  CodeRange code;
};

// Read by hooks while another is published, so that none is ever freed. There is a new one only
// when a library that bends comes or goes.
using Ranges = std::vector<CodeRange>;
constinit std::atomic<const Ranges*> published{nullptr};

struct State {
  os::KnownModules seen;
  std::vector<Found> found;
  std::vector<std::string> matched;  // names in COREWISE_BEND
};

// Never destroyed: others may come while the process exits.
State& state() {
  static auto* made = new State;
  return *made;
}

std::vector<std::string> names_in(const char* variable) {
  const char* const value = std::getenv(variable);  // NOLINT(concurrency-mt-unsafe)
  std::string_view rest = value != nullptr ? value : "";
  std::vector<std::string> names;
  while (!rest.empty()) {
    const std::string_view name = rest.substr(0, rest.find(':'));
    if (!name.empty()) names.emplace_back(name);
    rest.remove_prefix(std::min(rest.size(), name.size() + 1));
  }
  return names;
}

bool holds_constant(const os::LoadedModule& module, std::string_view constant) {
  return std::ranges::any_of(module.segments, [&](const os::Segment& segment) {
    return segment.readable &&
           ::memmem(reinterpret_cast<const void*>(segment.begin), segment.end - segment.begin,
                    constant.data(), constant.size()) != nullptr;
  });
}

std::optional<std::string_view> row_of(const os::LoadedModule& module) {
  if (module.dynamic == 0) return std::nullopt;
  const elf::LiveBytes bytes(module);
  const auto symbols = elf::Symbols::from_dynamic(bytes, module.dynamic, module.base);
  if (!symbols) return std::nullopt;
  for (const BendRow& row : bend_table()) {
    if (symbols->find(row.symbol) && holds_constant(module, row.constant)) return row.library;
  }
  return std::nullopt;
}

// Between the colons of a variable.
struct Names {
  std::vector<std::string> all;
  explicit Names(const char* variable) : all(names_in(variable)) {}
  // The first that the path holds; null if it holds none.
  const std::string* in(const std::string& path) const {
    const auto at = std::ranges::find_if(
        all, [&](const std::string& name) { return path.find(name) != path.npos; });
    return at != all.end() ? &*at : nullptr;
  }
};

// What one look found.
struct Look {
  Names bend{"COREWISE_BEND"};
  Names exact{"COREWISE_EXACT_TEAMS"};
  std::string program = os::real_path("/proc/self/exe");
  std::vector<Found> found;
  std::vector<std::string> matched;

  // Under the loader's lock, so that the module stays while its memory is read.
  void visit(const os::LoadedModule& module) {
    // The loader gives the program itself no name.
    const std::string& path = module.path.empty() ? program : module.path;
    const std::string* const named = bend.in(path);
    if (named != nullptr) matched.push_back(*named);
    if (exact.in(path) != nullptr) return;
    if (named != nullptr) {
      found.push_back({{path, "COREWISE_BEND"}, CodeRange(module)});
    } else if (const auto library = row_of(module)) {
      found.push_back({{path, std::string(*library)}, CodeRange(module)});
    }
  }
};

}  // namespace

bool bends(std::uintptr_t function) {
  const Ranges* const ranges = published.load(std::memory_order_acquire);
  return ranges != nullptr && std::ranges::any_of(*ranges, [&](const CodeRange& range) {
           return range.holds(function);
         });
}

void find_bending() {
  State& s = state();
  Look look;
  const std::uint64_t unloads = s.seen.subs;
  os::visit_new_modules(s.seen, [&](const os::LoadedModule& module) { look.visit(module); });
  // Where a library went, another may have come: then all were visited.
  if (s.seen.subs != unloads) {
    s.found.clear();
    s.matched.clear();
  }
  const bool same = look.found.empty() && s.seen.subs == unloads;
  std::ranges::move(look.found, std::back_inserter(s.found));
  std::ranges::move(look.matched, std::back_inserter(s.matched));
  if (same) return;
  auto* const ranges = new Ranges;
  for (const Found& found : s.found) ranges->push_back(found.code);
  published.store(ranges, std::memory_order_release);
}

std::vector<Bending> bending_now() {
  std::vector<Bending> all;
  for (const Found& found : state().found) all.push_back(found.what);
  return all;
}

std::vector<std::string> unmatched_bends() {
  std::vector<std::string> findings;
  for (const std::string& name : names_in("COREWISE_BEND")) {
    if (std::ranges::find(state().matched, name) != state().matched.end()) continue;
    findings.push_back("COREWISE_BEND names '" + name +
                       "', which is in the path of no library that was loaded");
  }
  return findings;
}

}  // namespace corewise::govern
