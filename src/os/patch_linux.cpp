// Page rights, memory and thread pointers on Linux.
#include <dlfcn.h>
#include <fcntl.h>
#include <link.h>
#include <linux/membarrier.h>
#include <malloc.h>
#include <pthread.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "base/keep_errno.h"
#include "confined.h"
#include "descriptor.h"
#include "loader_entry.h"
#include "patch.h"

#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000
#endif

namespace {

// The argument of __tls_get_addr in the processors' ABIs: a module and a variable of it.
struct ThreadLocal {
  unsigned long module;
  unsigned long offset;
};

}  // namespace

// The loader defines it; no glibc header declares it.
extern "C" void* __tls_get_addr(const ThreadLocal*);  // NOLINT(bugprone-reserved-identifier)

namespace corewise::os {
namespace {

std::uintptr_t page_of(std::uintptr_t at) { return at & ~(page_size() - 1); }

// "begin-end rwxp ..." as the kernel writes it.
bool parse(const char* line, std::uintptr_t& begin, std::uintptr_t& end, int& bits) {
  char* next = nullptr;
  begin = std::strtoul(line, &next, 16);
  if (*next != '-') return false;
  end = std::strtoul(next + 1, &next, 16);
  // Not strlen: the rest of the text is long.
  if (*next != ' ' || end <= begin || strnlen(next, 5) < 5) return false;
  bits = (next[1] == 'r' ? PROT_READ : 0) | (next[2] == 'w' ? PROT_WRITE : 0) |
         (next[3] == 'x' ? PROT_EXEC : 0);
  return true;
}

// What /proc/PID/maps answers to an ioctl: struct procmap_query of Linux 6.11's linux/fs.h, which
// the headers of Debian 12 do not have.
struct MappingQuery {
  std::uint64_t size, flags, address;           // asked
  std::uint64_t begin, end, rights;             // answered
  std::uint64_t page_size, file_offset, inode;  // answered
  std::uint32_t major, minor, name_size, id_size;
  std::uint64_t name, id;
};
static_assert(sizeof(MappingQuery) == 104);
constexpr unsigned long kAskMapping = _IOWR('f', 17, MappingQuery);

int rights_of(const MappingQuery& mapping) {
  return ((mapping.rights & 1) != 0 ? PROT_READ : 0) |
         ((mapping.rights & 2) != 0 ? PROT_WRITE : 0) | ((mapping.rights & 4) != 0 ? PROT_EXEC : 0);
}

struct Visitor {
  const KnownModules& known;
  const std::function<void(const LoadedModule&)>& visit;
};

int visit_one(dl_phdr_info* info, std::size_t, void* closure) {
  const auto& visitor = *static_cast<const Visitor*>(closure);
  try {
    if (!is_known(*info, visitor.known)) visitor.visit(module_of(*info));
  } catch (...) {
    // An exception must not cross the loader, which holds its lock; we skip the module.
    return 0;
  }
  return 0;
}

}  // namespace

bool Rights::readable() const { return (bits & PROT_READ) != 0; }
bool Rights::writable() const { return (bits & PROT_WRITE) != 0; }
bool Rights::executable() const { return (bits & PROT_EXEC) != 0; }

std::size_t page_size() {
  static const std::size_t size = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  return size;
}

Result<AddressSpace> AddressSpace::read() {
  const Result<std::string> text = read_file("/proc/self/maps");
  if (!text) return text.error();
  AddressSpace space;
  for (const char* line = text->c_str(); *line != '\0';) {
    Range range{};
    const char* const end = std::strchr(line, '\n');
    if (parse(line, range.begin, range.end, range.bits)) {
      // A file may be named so too: then we leave one gap more.
      constexpr std::string_view kMainStack = " [stack]";
      range.grows_down = end != nullptr && std::string_view(line, end).ends_with(kMainStack);
      space.ranges_.push_back(range);
    }
    if (end == nullptr) break;
    line = end + 1;
  }
  return space;
}

std::optional<Rights> AddressSpace::rights(std::uintptr_t at, std::size_t size) const {
  std::optional<Rights> found;
  const std::uintptr_t end = at + size;
  for (const Range& range : ranges_) {
    if (range.end <= at) continue;
    if (range.begin > at) return std::nullopt;
    if (found && found->bits != range.bits) return std::nullopt;
    found = Rights{range.bits};
    if (range.end >= end) return found;
    at = range.end;
  }
  return std::nullopt;
}

Result<std::optional<Rights>> ask_rights(std::uintptr_t at, std::size_t size) {
  static std::atomic<bool> refused = is_call_fatal(SYS_ioctl, kAskMapping);
  const auto cannot = [] {
    return Error{CW_NOT_AVAILABLE, "this kernel tells all mappings or none"};
  };
  // Of a program that confined itself later nobody knows whether the call would be fatal.
  if (refused.load() || is_known_confined()) return cannot();
  const Descriptor maps(::open("/proc/self/maps", O_RDONLY | O_CLOEXEC));
  if (!maps.is_open()) return cannot();
  std::optional<Rights> found;
  int reason = 0;
  for (const std::uintptr_t end = at + size; at < end;) {
    MappingQuery mapping{};
    mapping.size = sizeof mapping;
    mapping.address = at;
    reason = ::ioctl(maps.number(), kAskMapping, &mapping) == 0 ? 0 : errno;
    if (reason != 0 || (found && found->bits != rights_of(mapping))) {
      found.reset();
      break;
    }
    found = Rights{rights_of(mapping)};
    at = mapping.end;
  }
  if (reason == 0 || reason == ENOENT) return found;
  refused.store(true);
  return cannot();
}

std::vector<std::uintptr_t> AddressSpace::gaps(std::uintptr_t near, std::uintptr_t reach,
                                               std::size_t size) const {
  const auto distance = [near](std::uintptr_t at) { return at > near ? at - near : near - at; };
  std::vector<std::uintptr_t> found;
  // The kernel maps nothing below this address (vm.mmap_min_addr).
  std::uintptr_t free_from = 1U << 20;
  for (const Range& range : ranges_) {
    if (!range.grows_down && range.begin >= free_from + size &&
        distance(range.begin - size) + size <= reach) {
      found.push_back(range.begin - size);
    }
    free_from = std::max(free_from, range.end);
  }
  std::sort(found.begin(), found.end(),
            [&](std::uintptr_t a, std::uintptr_t b) { return distance(a) < distance(b); });
  return found;
}

int set_rights(std::uintptr_t at, std::size_t size, Rights rights, bool and_writable) {
  const std::uintptr_t begin = page_of(at);
  const std::size_t length = page_of(at + size - 1) + page_size() - begin;
  const int bits = rights.bits | (and_writable ? PROT_WRITE : 0);
  return mprotect(reinterpret_cast<void*>(begin), length, bits) == 0 ? 0 : errno;
}

Result<std::uintptr_t> map_page(const std::vector<std::uintptr_t>& candidates) {
  constexpr int kRights = PROT_READ | PROT_WRITE;
  constexpr int kFlags = MAP_PRIVATE | MAP_ANONYMOUS;
  int error = ENOMEM;
  if (candidates.empty()) {
    void* page = mmap(nullptr, page_size(), kRights, kFlags, -1, 0);
    if (page != MAP_FAILED) return reinterpret_cast<std::uintptr_t>(page);
    error = errno;
  }
  for (const std::uintptr_t wanted : candidates) {
    void* page = mmap(reinterpret_cast<void*>(wanted), page_size(), kRights,
                      kFlags | MAP_FIXED_NOREPLACE, -1, 0);
    if (page == MAP_FAILED) {
      error = errno;
      continue;
    }
    // Kernels before 4.17 treat the address as a hint.
    if (reinterpret_cast<std::uintptr_t>(page) == wanted) return wanted;
    munmap(page, page_size());
  }
  return Error{CW_NOT_AVAILABLE, "no page for a jump could be mapped: " + system_says(error)};
}

std::string refused_by(int error) {
  return " (" + system_says(error) +
         "); a seccomp filter, SELinux or systemd's MemoryDenyWriteExecute does that";
}

std::optional<Error> seal_page(std::uintptr_t page) {
  if (const int error = set_rights(page, page_size(), Rights{PROT_READ | PROT_EXEC}, false)) {
    return Error{CW_NOT_PERMITTED,
                 "the system does not let a page become executable" + refused_by(error)};
  }
  code_changed(page, page_size());
  return std::nullopt;
}

void unmap_page(std::uintptr_t page) { munmap(reinterpret_cast<void*>(page), page_size()); }

void code_changed(std::uintptr_t at, std::size_t size) {
  __builtin___clear_cache(reinterpret_cast<char*>(at), reinterpret_cast<char*>(at + size));
  static const bool registered =
      syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE, 0, 0) == 0;
  if (registered) syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE, 0, 0);
}

void visit_modules(const std::function<void(const LoadedModule&)>& visit) {
  visit_modules({}, visit);
}

void visit_modules(const KnownModules& known,
                   const std::function<void(const LoadedModule&)>& visit) {
  Visitor visitor{known, visit};
  walk(visit_one, &visitor);
}

KnownModules visit_new_modules(KnownModules& seen,
                               const std::function<void(const LoadedModule&)>& visit) {
  const std::uint64_t unloads = generation().subs;
  if (seen.subs != unloads) seen = {{}, unloads};
  KnownModules present = seen;
  visit_modules(seen, [&](const LoadedModule& module) {
    present.add(module);
    visit(module);
  });
  return std::exchange(seen, std::move(present));
}

bool means_next(const void* handle) noexcept { return handle == RTLD_NEXT; }

bool is_first_library(std::uintptr_t code) {
  // The program has the empty name, and the kernel's vDSO is in no file.
  bool found = false;
  bool first = false;
  visit_modules([&](const LoadedModule& module) {
    if (found || module.name.empty() || module.name.starts_with("linux-vdso")) return;
    found = true;
    first = module.contains(code);
  });
  return first;
}

void* global_symbol(const char* name) { return dlsym(RTLD_DEFAULT, name); }

std::byte* reserve(std::size_t size) {
  void* at = mmap(nullptr, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  return at == MAP_FAILED ? nullptr : static_cast<std::byte*>(at);
}

bool commit(std::byte* at, std::size_t size) {
  return mprotect(at, size, PROT_READ | PROT_WRITE) == 0;
}

void discard(std::byte* at, std::size_t size) { madvise(at, size, MADV_DONTNEED); }

void release(std::byte* at, std::size_t size) { munmap(at, size); }

ThreadLocals thread_locals(std::uintptr_t base) {
  struct Search {
    std::uintptr_t base;
    ThreadLocals found;
  } search{base, {}};
  walk(
      [](dl_phdr_info* info, std::size_t, void* closure) {
        auto& sought = *static_cast<Search*>(closure);
        if (info->dlpi_addr != sought.base) return 0;
        for (ElfW(Half) i = 0; i < info->dlpi_phnum; ++i) {
          if (info->dlpi_phdr[i].p_type != PT_TLS) continue;
          sought.found = {info->dlpi_tls_modid, info->dlpi_phdr[i].p_memsz};
        }
        return 1;
      },
      &search);
  return search.found;
}

std::optional<ThreadPlaces> thread_places() {
  const auto place_of = [](long thread) -> std::optional<std::uintptr_t> {
    std::uintptr_t place = 0;
    std::size_t size = 0;
    if (syscall(SYS_get_robust_list, thread, &place, &size) != 0) {
      return errno == ESRCH ? std::optional<std::uintptr_t>(0) : std::nullopt;
    }
    return place != 0 ? std::optional(place) : std::nullopt;
  };
  const auto own = place_of(0);
  if (!own) return std::nullopt;
  ThreadPlaces places{*own, {}};
  for (const std::string& name : names_in("/proc/self/task")) {
    const auto place = place_of(std::strtol(name.c_str(), nullptr, 10));
    if (!place) return std::nullopt;
    places.all.push_back(*place);
  }
  if (places.all.empty()) return std::nullopt;
  return places;
}

bool is_main_thread() { return own_thread_id() == own_process(); }

std::span<std::uintptr_t> own_copy(const ThreadLocals& variables) {
  if (variables.size == 0) return {};
  const ThreadLocal first{variables.module, 0};
  return {static_cast<std::uintptr_t*>(__tls_get_addr(&first)),
          variables.size / sizeof(std::uintptr_t)};
}

// The kernel copies the new mask before it rejects the unknown operation. Every sandbox allows this
// call: fork itself makes it.
bool is_readable(std::uintptr_t word) {
  if (word == 0) return false;  // the kernel would take null for no mask
  const KeepErrno keep;
  constexpr int kUnknown = -1;
  constexpr std::size_t kMask = 8;
  return syscall(SYS_rt_sigprocmask, kUnknown, word, nullptr, kMask) == 0 || errno != EFAULT;
}

unsigned numa_node() {
  // "0" on a machine with one node, "0-3" or "0,2" elsewhere.
  static const bool several = [] {
    const auto online = read_file("/sys/devices/system/node/online");
    return online && online->find_first_of(",-") != std::string::npos;
  }();
  if (!several) return 0;
  unsigned cpu = 0;
  unsigned node = 0;
  // The raw system call: glibc has getcpu() only from 2.29 on.
  return syscall(SYS_getcpu, &cpu, &node, nullptr) == 0 ? node : 0;
}

std::size_t allocated_size(void* block) { return malloc_usable_size(block); }

bool ThreadPointer::create(void (*end)(void*)) {
  pthread_key_t key = 0;
  if (pthread_key_create(&key, end) != 0) return false;
  key_ = key;
  return true;
}

void* ThreadPointer::get() const { return pthread_getspecific(key_); }

bool ThreadPointer::set(void* value) const { return pthread_setspecific(key_, value) == 0; }

}  // namespace corewise::os
