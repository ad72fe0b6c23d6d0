// The live process on Linux with glibc.
#include <dlfcn.h>
#include <gnu/lib-names.h>
#include <link.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <climits>
#include <cstdlib>
#include <mutex>
#include <new>
#include <string_view>
#include <thread>
#include <utility>

#include "fork.h"
#include "loader_entry.h"
#include "os.h"
#include "threads.h"

namespace corewise::os {

constinit thread_local ThreadFlags thread_flags;
namespace {

// Held during each of our walks, and across fork.
constinit ForkLock walk_lock;

// Calls of dlclose() in progress. Each may unload its module, which takes the same loader lock as a
// walk. Unloading runs destructors, so we must not hold a lock of ours around it.
constinit std::atomic<int> closing{0};
constexpr int kMostWaits = 20'000;  // a second

void let_go(void* handle) {
  {
    const std::lock_guard guard(walk_lock);
    ++closing;
  }
  const bool nested = thread_flags.is_closing;
  thread_flags.is_closing = true;
  dlclose(handle);
  thread_flags.is_closing = nested;
  --closing;
}

int first_only(dl_phdr_info* info, std::size_t, void* out) {
  *static_cast<Generation*>(out) = {info->dlpi_adds, info->dlpi_subs};
  return 1;
}

std::uintptr_t dynamic_of(const dl_phdr_info& info) {
  for (int i = 0; i < info.dlpi_phnum; ++i) {
    if (info.dlpi_phdr[i].p_type == PT_DYNAMIC) return info.dlpi_addr + info.dlpi_phdr[i].p_vaddr;
  }
  return 0;
}

struct Walk {
  const KnownModules& known;
  std::vector<LoadedModule> modules;
  Generation at;
  bool out_of_memory = false;
};

int collect(dl_phdr_info* info, std::size_t, void* out) {
  auto* walk = static_cast<Walk*>(out);
  walk->at = {info->dlpi_adds, info->dlpi_subs};
  try {
    if (is_known(*info, walk->known)) return 0;
    walk->modules.push_back(module_of(*info));
  } catch (...) {
    // An exception must not cross the loader.
    walk->out_of_memory = true;
    return 1;
  }
  return 0;
}

}  // namespace

std::string program_path() {
  // Not on the stack, of which the caller may have little.
  std::string path(PATH_MAX, '\0');
  const ssize_t n = readlink("/proc/self/exe", path.data(), path.size());
  if (n <= 0) return {};
  path.resize(static_cast<std::size_t>(n));
  // The program's file was replaced while it runs.
  if (path.ends_with(kDeleted)) path.resize(path.size() - kDeleted.size());
  return path;
}

bool is_known(const dl_phdr_info& info, const KnownModules& known) {
  return info.dlpi_subs == known.subs &&
         std::ranges::binary_search(known.places, std::pair<std::uintptr_t, std::uintptr_t>{
                                                      info.dlpi_addr, dynamic_of(info)});
}

void KnownModules::add(const LoadedModule& module) {
  const std::pair place{module.base, module.dynamic};
  const auto at = std::ranges::lower_bound(places, place);
  if (at == places.end() || *at != place) places.insert(at, place);
}

LoadedModule module_of(const dl_phdr_info& info) {
  LoadedModule module;
  module.name = info.dlpi_name;
  module.path = module.name;
  module.base = info.dlpi_addr;
  module.dynamic = dynamic_of(info);
  for (int i = 0; i < info.dlpi_phnum; ++i) {
    const ElfW(Phdr) & header = info.dlpi_phdr[i];
    const std::uintptr_t begin = info.dlpi_addr + header.p_vaddr;
    if (header.p_type == PT_GNU_RELRO) module.relro = {begin, begin + header.p_memsz, true};
    if (header.p_type != PT_LOAD) continue;
    module.segments.push_back({begin, begin + header.p_memsz, (header.p_flags & PF_R) != 0});
  }
  return module;
}

void hold_walks() {
  walk_lock.lock();
  // Bounded: a destructor that one of these dlclose() calls runs may wait for the forking thread.
  const int own = thread_flags.is_closing ? 1 : 0;
  for (int i = 0; i < kMostWaits && closing.load() > own; ++i) {
    std::this_thread::sleep_for(std::chrono::microseconds(50));
  }
}
void release_walks() { walk_lock.unlock(); }
void release_walks_in_child() {
  closing.store(thread_flags.is_closing ? 1 : 0);
  walk_lock.forget_waiters();
  walk_lock.unlock();
}

int walk(int (*visit)(dl_phdr_info*, std::size_t, void*), void* closure) {
  const std::lock_guard guard(walk_lock);
  return dl_iterate_phdr(visit, closure);
}

bool is_loader_busy() noexcept {
  return std::atomic_ref(_r_debug.r_state).load(std::memory_order_relaxed) !=
         r_debug::RT_CONSISTENT;
}

Generation generation() {
  Generation now;
  walk(first_only, &now);
  return now;
}

std::vector<LoadedModule> loaded_modules(Generation& at, const KnownModules& known) {
  Walk walk{known, {}, {}};
  // Enough that the vector hardly ever grows while we hold the loader's lock.
  walk.modules.reserve(known.places.empty() ? 512 : 64);
  os::walk(collect, &walk);
  if (walk.out_of_memory) throw std::bad_alloc();
  at = walk.at;
  // The loader gives the program itself an empty name.
  if (!walk.modules.empty() && walk.modules.front().name.empty()) {
    walk.modules.front().path = program_path();
  }
  return std::move(walk.modules);
}

Held::Held(const LoadedModule& module) : module_(module) {
  // RTLD_NOLOAD finds the module by the loader's own name, even if its file is gone.
  void* handle = dlopen(module.name.c_str(), RTLD_LAZY | RTLD_NOLOAD);
  if (handle == nullptr) return;
  link_map* map = nullptr;
  if (dlinfo(handle, RTLD_DI_LINKMAP, static_cast<void*>(&map)) == 0 &&
      map->l_addr == module.base && reinterpret_cast<std::uintptr_t>(map->l_ld) == module.dynamic) {
    handle_ = handle;
  } else {
    let_go(handle);
  }
}

Held::~Held() {
  if (handle_ != nullptr) let_go(handle_);
}

void Held::forever() { pin(module_.name); }

bool pin(const std::string& name) {
  // We never close the handle, for the sake of loaders that do not know RTLD_NODELETE.
  return dlopen(name.c_str(), RTLD_LAZY | RTLD_NOLOAD | RTLD_NODELETE) != nullptr;
}

std::string file_of(const void* code) {
  Dl_info at{};
  return ::dladdr(code, &at) != 0 && at.dli_fname != nullptr ? at.dli_fname : "";
}

void* load_function(const std::string& path, const char* symbol) {
  void* const library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
  return library != nullptr ? dlsym(library, symbol) : nullptr;
}

int own_thread_id() noexcept { return static_cast<int>(syscall(SYS_gettid)); }

void* c_library_function(const char* name) {
  static void* const kLibrary = dlopen(LIBC_SO, RTLD_LAZY | RTLD_NOLOAD);
  return kLibrary != nullptr ? dlsym(kLibrary, name) : nullptr;
}

void* find_function(const char* module, const char* name, const std::string& version) {
  void* const handle = dlopen(module, RTLD_LAZY | RTLD_NOLOAD);
  if (handle == nullptr) return nullptr;
  void* const found = version.empty() ? dlsym(handle, name) : dlvsym(handle, name, version.c_str());
  let_go(handle);
  return found;
}

std::string real_path(const std::string& path) {
  // A memory file is loaded under a descriptor's path, which may name another file by now.
  if (path.starts_with("/proc/")) return {};
  char* const found = ::realpath(path.c_str(), nullptr);
  std::string resolved = found != nullptr ? found : "";
  ::free(found);
  return resolved;
}

std::optional<std::string_view> variable(const char* name) noexcept {
  const char* const value = std::getenv(name);  // NOLINT(concurrency-mt-unsafe): see the header
  return value != nullptr ? std::optional<std::string_view>(value) : std::nullopt;
}

int watch_end(int pid) noexcept { return static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)); }

int usable_cpus() {
  // A set of fixed size is too small on machines with more CPUs than it holds.
  for (int size = 1024; size <= 1 << 20; size *= 4) {
    cpu_set_t* const set = CPU_ALLOC(size);
    if (set == nullptr) break;
    const std::size_t bytes = CPU_ALLOC_SIZE(size);
    const bool known = sched_getaffinity(0, bytes, set) == 0;
    const int count = known ? CPU_COUNT_S(bytes, set) : 0;
    CPU_FREE(set);
    if (known) return std::max(1, count);
  }
  return 1;
}

std::string own_command() {
  constexpr std::size_t kLongest = 300;
  auto text = read_file("/proc/self/cmdline");
  if (!text) return {};
  while (!text->empty() && text->back() == '\0') text->pop_back();
  std::ranges::replace(*text, '\0', ' ');
  if (text->size() > kLongest) text->replace(kLongest, text->npos, "...");
  return *text;
}

}  // namespace corewise::os
