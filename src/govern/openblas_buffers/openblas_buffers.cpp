// OpenBLAS copies: found, measured, hooked.
#include "openblas_buffers.h"

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstring>
#include <deque>
#include <mutex>
#include <optional>
#include <utility>

#include "buffers.h"
#include "elf/trusted_local.h"
#include "govern/patch/exchange.h"
#include "govern/patch/hook.h"
#include "os/fork.h"
#include "os/patch.h"
#include "pools/pool.h"

namespace corewise::govern::openblas_buffers {
namespace {

using Alloc = void*(int);
using Free = void(void*);

// Symbols that identify a copy whose blas_memory_alloc is in no dynamic symbol table.
constexpr const char* kMarks[] = {"openblas_get_config",           "openblas_get_config64_",
                                  "openblas_get_config_",          "openblas_get_config_64_",
                                  "scipy_openblas_get_config",     "scipy_openblas_get_config64_",
                                  "scipy_openblas_get_config_64_", "scipy_openblas_get_config_"};

// An OpenBLAS copy as it was found. Zero addresses: not there.
struct Candidate {
  std::string path;
  std::uintptr_t base = 0;
  SymbolExtent alloc, free, alloc_plain, free_plain;
};

// A copy that is or was served. Never destroyed: threads come here with its address.
struct Served {
  std::string path;
  std::uintptr_t base = 0;
  buffers::Shelf* shelf = nullptr;
  std::optional<EntryHook> alloc, free;
  Alloc* original_alloc = nullptr;
  Free* original_free = nullptr;
  bool alloc_installed = false;
  bool free_installed = false;
  std::atomic<bool> serving = false;
};

std::deque<Served>& all_served() {
  static auto* all = new std::deque<Served>;
  return *all;
}

os::ForkLock& served_lock() { return os::fork_lock(os::ForkRank::kServedCopies); }

std::atomic<const Listener*> listener = nullptr;

void* hooked_alloc(int procpos, Served* copy) {
  // The copy's own workers keep these buffers: at most half of its table, and beyond our removal.
  constexpr int kForWorker = 2;
  if (procpos == kForWorker) return copy->original_alloc(procpos);
  const Listener* told = listener.load(std::memory_order_acquire);
  buffers::Buffer* buffer = nullptr;
  {
    buffers::Inside inside;
    // A thread may arrive after the removal, if it was stopped on its way here.
    if (copy->serving.load()) buffer = inside.take(*copy->shelf, copy);
    if (buffer != nullptr) buffer->told = told;
  }
  // If the system refuses us memory, the copy may still have some; OpenBLAS never checks for null.
  if (buffer == nullptr) return copy->original_alloc(procpos);
  if (told != nullptr) told->enter(copy, procpos);
  return buffer->address;
}

void hooked_free(void* at, Served* copy) {
  bool ours = false;
  const Listener* told = nullptr;
  {
    buffers::Inside inside;
    if (buffers::Buffer* buffer = inside.find(at)) {
      ours = true;
      told = std::exchange(buffer->told, nullptr);
      inside.give(*buffer);
    }
  }
  if (!ours) return copy->original_free(at);
  // Even if nobody listens any more: what the call holds is given back by its end.
  if (told != nullptr) told->leave(copy);
}

SymbolExtent find(const elf::Symbols& symbols, std::uintptr_t base, const char* name) {
  const auto symbol = symbols.find(name);
  return symbol ? SymbolExtent{base + symbol->value, symbol->size} : SymbolExtent{};
}

// The code of this process, for which no module is at hand.
class OwnCode final : public elf::Bytes {
 public:
  bool read(std::uint64_t address, void* out, std::size_t n) const override {
    const auto rights = Mappings().rights(address, n);
    if (!rights || !rights->readable() || !rights->executable()) return false;
    std::memcpy(out, reinterpret_cast<const void*>(address), n);
    return true;
  }
};

SymbolExtent find(const elf::File& file, std::uintptr_t base, const char* name) {
  const auto symbol = elf::trusted_local(file, OwnCode(), base, name);
  return symbol ? SymbolExtent{base + symbol->value, symbol->size} : SymbolExtent{};
}

template <class From>
void fill(Candidate& candidate, const From& from) {
  candidate.alloc = find(from, candidate.base, "blas_memory_alloc");
  candidate.free = find(from, candidate.base, "blas_memory_free");
  candidate.alloc_plain = find(from, candidate.base, "blas_memory_alloc_nolock");
  candidate.free_plain = find(from, candidate.base, "blas_memory_free_nolock");
}

// Copies that are not in `known` (path, base). It needs the loader's lock, so takes none of ours.
std::vector<Candidate> discover(const std::vector<std::pair<std::string, std::uintptr_t>>& known) {
  std::vector<Candidate> found;
  os::visit_modules([&](const os::LoadedModule& module) {
    if (module.dynamic == 0) return;
    for (const auto& [path, base] : known) {
      if (base == module.base && path == module.path) return;
    }
    const elf::LiveSymbols symbols(module);
    if (!symbols) return;
    Candidate candidate;
    candidate.path = module.path;
    candidate.base = module.base;
    fill(candidate, *symbols);
    bool openblas = candidate.alloc.address != 0;
    for (const char* mark : kMarks) openblas = openblas || symbols.find(mark);
    if (openblas) found.push_back(std::move(candidate));
  });
  // Pin each one, so that its code stays; drop one that is gone in the meantime. The program
  // itself, which may hold a copy linked into it, cannot go.
  std::erase_if(found, [](const Candidate& candidate) {
    return !candidate.path.empty() && !os::pin(candidate.path);
  });
  for (Candidate& candidate : found) {
    if (candidate.alloc.address != 0) continue;
    const auto file = elf::File::open(candidate.path.empty() ? "/proc/self/exe" : candidate.path);
    if (file) fill(candidate, *file);
  }
  return found;
}

// The build's BUFFER_SIZE. blas_memory_alloc_nolock mallocs exactly that and a page.
std::size_t measure(const Candidate& candidate) {
  constexpr std::size_t kPage = 4096;  // OpenBLAS's FIXED_PAGESIZE
  constexpr std::size_t kLeast = std::size_t{1} << 20U;
  constexpr std::size_t kMost = std::size_t{1} << 30U;
  if (candidate.alloc_plain.address != 0 && candidate.free_plain.address != 0) {
    void* block = reinterpret_cast<Alloc*>(candidate.alloc_plain.address)(0);
    const std::size_t size = block != nullptr ? os::allocated_size(block) : 0;
    reinterpret_cast<Free*>(candidate.free_plain.address)(block);
    if (size > kLeast && size < kMost) return (size - kPage) / kPage * kPage;
  }
  // Unknown: take what no build exceeds. Only touched pages take memory.
  return std::size_t{256} << 20U;
}

// Empty, or why this copy cannot be served.
std::string prepare(const Candidate& candidate, Served& copy) {
  const std::string instead = "; cap its callers instead";
  if (candidate.alloc.address == 0 || candidate.free.address == 0) {
    return "its blas_memory_alloc is in no symbol table: " + candidate.path +
           " was stripped, or replaced since it was loaded" + instead;
  }
  if (!buffers::start()) return "the system has no more thread-specific keys" + instead;
  copy.path = candidate.path;
  copy.base = candidate.base;
  const auto entry = [&](const char* name, const SymbolExtent& code, const void* replacement) {
    return EntryHook::prepare({std::string(name) + " of " + candidate.path, code.address, code.size,
                               1, replacement, &copy});
  };
  auto alloc =
      entry("blas_memory_alloc", candidate.alloc, reinterpret_cast<const void*>(&hooked_alloc));
  if (!alloc) return alloc.error().what + instead;
  auto free =
      entry("blas_memory_free", candidate.free, reinterpret_cast<const void*>(&hooked_free));
  if (!free) return free.error().what + instead;
  // A copy's first call initialises it; our replacement does not.
  void* first = reinterpret_cast<Alloc*>(candidate.alloc.address)(0);
  if (first == nullptr) return "its table of buffers is full already" + instead;
  reinterpret_cast<Free*>(candidate.free.address)(first);
  copy.shelf = buffers::shelf_for(measure(candidate));
  if (copy.shelf == nullptr) return "too many different sizes of buffers are in use" + instead;
  copy.original_alloc = alloc->original<Alloc>();
  copy.original_free = free->original<Free>();
  copy.alloc = *std::move(alloc);
  copy.free = *std::move(free);
  return {};
}

std::string hook(Served& copy) {
  // The way back first, so that a thread that gets one of our buffers can return it.
  const bool free_was_installed = copy.free_installed;
  if (!free_was_installed) {
    if (auto error = copy.free->install()) return error->what + "; cap its callers instead";
    copy.free_installed = true;
  }
  copy.serving.store(true);
  if (copy.alloc_installed) return {};
  if (auto error = copy.alloc->install()) {
    copy.serving.store(false);
    // One that stayed at a removal is waiting for buffers of ours.
    if (!free_was_installed) copy.free_installed = copy.free->remove().has_value();
    return error->what + "; cap its callers instead";
  }
  copy.alloc_installed = true;
  return {};
}

// Empty, or what had to stay.
std::string unhook(Served& copy) {
  copy.serving.store(false);
  if (copy.alloc_installed) {
    if (const auto error = copy.alloc->remove()) {
      return error->what + "; it passes calls through";
    }
    copy.alloc_installed = false;
  }
  if (!copy.free_installed) return {};
  const bool left = buffers::wait_until_left();
  const std::size_t out = buffers::usage(&copy).taken;
  if (!left || out != 0) {
    if (!left) return "blas_memory_free stays replaced until all threads have left it";
    return "blas_memory_free stays replaced until the program gives back " + std::to_string(out) +
           (out == 1 ? " buffer" : " buffers");
  }
  if (const auto error = copy.free->remove()) return error->what + "; it passes calls through";
  copy.free_installed = false;
  return {};
}

CopyReport report(const Served& copy, std::string reason) {
  return {copy.path, copy.base, &copy, copy.serving.load(), std::move(reason)};
}

}  // namespace

std::vector<CopyReport> install() {
  std::vector<std::pair<std::string, std::uintptr_t>> known;
  {
    const std::lock_guard lock(served_lock());
    for (const Served& copy : all_served()) known.emplace_back(copy.path, copy.base);
  }
  const std::vector<Candidate> candidates = discover(known);

  std::vector<CopyReport> copies;
  const std::lock_guard lock(served_lock());
  for (const Candidate& candidate : candidates) {
    const auto is_it = [&](const Served& copy) {
      return copy.base == candidate.base && copy.path == candidate.path;
    };
    // Another thread may have been faster.
    if (std::any_of(all_served().begin(), all_served().end(), is_it)) continue;
    Served& copy = all_served().emplace_back();
    if (const std::string reason = prepare(candidate, copy); !reason.empty()) {
      // Nothing points to it: it was not installed.
      all_served().pop_back();
      copies.push_back({candidate.path, candidate.base, nullptr, false, reason});
    }
  }
  for (Served& copy : all_served()) {
    std::string reason = hook(copy);
    copies.push_back(report(copy, std::move(reason)));
  }
  return copies;
}

std::vector<CopyReport> remove() {
  std::vector<CopyReport> copies;
  const std::lock_guard lock(served_lock());
  for (Served& copy : all_served()) {
    std::string reason = unhook(copy);
    copies.push_back(report(copy, std::move(reason)));
  }
  return copies;
}

void listen(const Listener* told) { listener.store(told, std::memory_order_release); }

}  // namespace corewise::govern::openblas_buffers
