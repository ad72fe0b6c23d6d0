// The operating system, as corewise needs it: the one header that a port implements.
//
// linux.cpp answers for the live process and machine. Nothing else in the core includes a system
// header for these questions, so that a macOS or Windows port is one more file here.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"

namespace corewise::os {

// A range of memory that a module occupies, readable or not.
struct Segment {
  std::uintptr_t begin = 0;
  std::uintptr_t end = 0;
  bool readable = false;
};

// A module loaded in this process, as the loader lists it.
struct LoadedModule {
  std::string path;            // bytes as the loader has them; may name a file that is gone
  std::string name;            // what dlopen(RTLD_NOLOAD) finds it by; empty for the program
  std::uintptr_t base = 0;     // load bias: run-time address minus address in the file
  std::uintptr_t dynamic = 0;  // address of its dynamic section; 0 if it has none
  std::vector<Segment> segments;
  Segment relro;  // what the loader makes read-only once the module is bound

  bool contains(std::uintptr_t address) const {
    return std::ranges::any_of(segments, [&](const Segment& segment) {
      return address >= segment.begin && address < segment.end;
    });
  }
  bool is_readable(std::uintptr_t at, std::size_t size) const {
    return std::ranges::any_of(segments, [&](const Segment& segment) {
      return segment.readable && at >= segment.begin && at < segment.end &&
             size <= segment.end - at;
    });
  }
};

// Whether the loader is adding or removing modules right now: then we are in a handler of a signal,
// or beside it on another thread.
bool is_loader_busy() noexcept;

// Counters of the loader that change whenever a module is loaded or unloaded.
struct Generation {
  std::uint64_t adds = 0;
  std::uint64_t subs = 0;
  friend bool operator==(const Generation&, const Generation&) = default;
};

// Cheap (about 20 ns): the first step of dl_iterate_phdr.
Generation generation();

// Modules that were read already: (base, dynamic section), sorted. Once the loader has unloaded
// anything (its count of unloads is no longer `subs`), the list is worthless.
struct KnownModules {
  std::vector<std::pair<std::uintptr_t, std::uintptr_t>> places;
  std::uint64_t subs = 0;

  void add(const LoadedModule& module);
};

// Every loaded module in load order but the known ones, and the generation that the list belongs
// to. All of them if a module was unloaded since: another module may have taken its address. Takes
// the loader's lock for the walk: a caller must not hold a lock that a constructor may want.
std::vector<LoadedModule> loaded_modules(Generation& at, const KnownModules& known = {});

// Keeps a listed module loaded while we read it. A list is stale as soon as it is made, and reading
// a module that another thread unloads would kill us. Waits for a dlopen of the module that is
// still in progress, so that its constructors have run.
class Held {
 public:
  explicit Held(const LoadedModule& module);
  Held(const Held&) = delete;
  Held& operator=(const Held&) = delete;
  ~Held();

  // False if the module is gone, even if another module has taken its place.
  explicit operator bool() const { return handle_ != nullptr; }
  // Keeps the module loaded until the process ends, so that its functions stay callable.
  void forever();

 private:
  const LoadedModule& module_;
  void* handle_ = nullptr;
};

// Keeps the module of that name loaded until the process ends. False if there is no such module.
bool pin(const std::string& name);

// The C library's own function of that name, whatever a preloaded library has in its place. Null if
// it has none.
void* c_library_function(const char* name);

// The function of that name that dlsym finds in the module of that name (empty: the program) and in
// the libraries below; with a version (not empty) the one that dlvsym finds. Null if there is none.
void* find_function(const char* module, const char* name, const std::string& version);

// The file of the module that holds this code, as the loader names it; empty if there is none.
std::string file_of(const void* code);

// Loads a library for good, and returns a function of it; null if it cannot be loaded or has none.
void* load_function(const std::string& path, const char* symbol);

// The path with links resolved; empty if the file is not there.
std::string real_path(const std::string& path);

// Bracket a fork. glibc does not reset the lock of its module list in the child: if another thread
// of the parent is walking the list during the fork, the child's first walk would wait for ever.
void hold_walks();
void release_walks();
// The child calls this instead: what the parent's other threads were doing never ends there.
void release_walks_in_child();

// The kernel's number of the calling thread.
int own_thread_id() noexcept;

// The CPUs that the calling thread may run on; at least 1.
int usable_cpus();

// A descriptor that poll() finds readable once the process has ended; -1 before Linux 5.3.
int watch_end(int pid) noexcept;

// A variable of the environment; a view of its own bytes. Allocates nothing. No other thread may
// call setenv meanwhile: programs set what we read before they load or call us.
std::optional<std::string_view> variable(const char* name) noexcept;

// The file of this process's program, which the loader gives no name: links resolved; empty if the
// kernel does not tell.
std::string program_path();

// This process's command line, its words separated by blanks, cut short after a few hundred bytes;
// empty where the system does not tell.
std::string own_command();

// The whole file, at most `most` bytes. Files in /proc do not tell their size beforehand.
Result<std::string> read_file(const std::string& path, std::size_t most = std::size_t{64} << 20);

// The same for a file that is open already: appends to `text` until it holds `most` bytes. Returns
// 0 or the system's error.
int read_to_end(int fd, std::size_t most, std::string& text);

// What one read() gives: as much of a file as fits, but of one in /proc at most about a page. Empty
// if it cannot be read or a signal interrupts it. Allocates nothing: may be called in hooks and in
// signal handlers.
std::string_view read_into(const char* path, std::span<char> buffer) noexcept;

// The names in a folder, in any order; empty if it cannot be listed to its end.
std::vector<std::string> names_in(const std::string& folder);

// Whether `bytes` more may be appended to the file; fd below 0: to a new file. Beyond the limit on
// file size (`ulimit -f`) the kernel does not refuse: it sends a signal that ends the program. May
// be called in a signal handler.
bool has_room(int fd, std::size_t bytes) noexcept;

// A mapping of another process, from its maps file.
struct Mapping {
  std::uintptr_t begin = 0;
  std::uintptr_t end = 0;
  std::uint64_t offset = 0;
  bool readable = false;
  bool executable = false;
  bool deleted = false;  // the file was unlinked or replaced since
  std::string path;
};

// What the kernel writes after the path of such a file.
inline constexpr std::string_view kDeleted = " (deleted)";

// Parses the text of /proc/PID/maps. Skips lines that it does not understand, and undoes the octal
// escape of a newline in a path.
std::vector<Mapping> parse_maps(const std::string& text);

}  // namespace corewise::os
