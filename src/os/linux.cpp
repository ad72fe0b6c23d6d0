// The live process on Linux with glibc or musl.
#include <dlfcn.h>
#include <fcntl.h>
#include <link.h>
#include <pthread.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "os.h"

namespace corewise::os {
namespace {

int first_only(dl_phdr_info* info, std::size_t, void* out) {
  *static_cast<Generation*>(out) = {info->dlpi_adds, info->dlpi_subs};
  return 1;
}

struct Walk {
  std::vector<LoadedModule> modules;
  Generation at;
};

LoadedModule describe(const dl_phdr_info& info) {
  LoadedModule module;
  module.path = info.dlpi_name;
  module.base = info.dlpi_addr;
  for (int i = 0; i < info.dlpi_phnum; ++i) {
    const ElfW(Phdr)& header = info.dlpi_phdr[i];
    const std::uintptr_t begin = info.dlpi_addr + header.p_vaddr;
    if (header.p_type == PT_LOAD) {
      module.segments.push_back({begin, begin + header.p_memsz, (header.p_flags & PF_R) != 0});
    } else if (header.p_type == PT_DYNAMIC) {
      module.dynamic = begin;
    }
  }
  return module;
}

int collect(dl_phdr_info* info, std::size_t, void* out) {
  auto* walk = static_cast<Walk*>(out);
  walk->at = {info->dlpi_adds, info->dlpi_subs};
  try {
    walk->modules.push_back(describe(*info));
  } catch (...) {
    return 1;
  }
  return 0;
}

}  // namespace

Generation generation() {
  Generation now;
  dl_iterate_phdr(first_only, &now);
  return now;
}

std::vector<LoadedModule> loaded_modules(Generation& at) {
  Walk walk;
  // So many that the vector hardly ever grows while the loader's lock is held.
  walk.modules.reserve(512);
  dl_iterate_phdr(collect, &walk);
  at = walk.at;
  // The loader gives the program itself the empty name.
  if (!walk.modules.empty() && walk.modules.front().path.empty()) {
    char path[4096];
    const ssize_t n = readlink("/proc/self/exe", path, sizeof path);
    if (n > 0) walk.modules.front().path.assign(path, static_cast<std::size_t>(n));
  }
  return std::move(walk.modules);
}

bool pin(const std::string& path) {
  // RTLD_NOLOAD finds the module by the loader's own name, also when its file is gone. The handle
  // is kept on purpose: that is what keeps the module.
  return dlopen(path.c_str(), RTLD_LAZY | RTLD_NOLOAD | RTLD_NODELETE) != nullptr;
}

void* symbol_seen_by(const std::string& path, const char* name) {
  void* module = dlopen(path.c_str(), RTLD_LAZY | RTLD_NOLOAD);
  if (module == nullptr) return nullptr;
  void* found = dlsym(module, name);
  dlclose(module);
  return found;
}

std::string real_path(const std::string& path) {
  char resolved[PATH_MAX];
  return ::realpath(path.c_str(), resolved) != nullptr ? std::string(resolved) : std::string();
}

int usable_cpus() {
  // More than a fixed set holds, on machines with more CPUs than that.
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

void at_fork(void (*prepare)(), void (*parent)(), void (*child)()) {
  pthread_atfork(prepare, parent, child);
}

Result<std::string> read_file(const std::string& path, std::size_t most) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) {
    const int reason = errno;
    const Status status = reason == ENOENT || reason == ESRCH     ? CW_NO_SUCH_PROCESS
                          : reason == EACCES || reason == EPERM ? CW_NOT_PERMITTED
                                                                  : CW_IO_ERROR;
    return Error{status == CW_NO_SUCH_PROCESS && !path.starts_with("/proc/") ? CW_IO_ERROR : status,
                 path + ": " + std::strerror(reason)};
  }
  std::string text;
  char chunk[16384];
  while (text.size() < most) {
    const ssize_t n = ::read(fd, chunk, std::min(sizeof chunk, most - text.size()));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) {
      const int reason = errno;
      ::close(fd);
      return Error{reason == ESRCH                       ? CW_PROCESS_ENDED
                   : reason == EACCES || reason == EPERM ? CW_NOT_PERMITTED
                                                         : CW_IO_ERROR,
                   path + ": " + std::strerror(reason)};
    }
    if (n == 0) break;
    text.append(chunk, static_cast<std::size_t>(n));
  }
  ::close(fd);
  return text;
}

}  // namespace corewise::os
