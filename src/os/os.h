// The operating system, as corewise needs it: the one header that a port implements.
//
// linux.cpp answers for the live process and machine. Nothing else in the core includes a system
// header for these questions, so that a macOS or Windows port is one more file here.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "../error.h"

namespace corewise::os {

// A range of memory that a module occupies, readable or not.
struct Segment {
  std::uintptr_t begin = 0;
  std::uintptr_t end = 0;
  bool readable = false;
};

// A module loaded in this process, as the loader lists it.
struct LoadedModule {
  std::string path;              // bytes as the loader has them; may name a file that is gone
  std::uintptr_t base = 0;       // load bias: run-time address minus address in the file
  std::uintptr_t dynamic = 0;    // address of its dynamic section; 0 if it has none
  std::vector<Segment> segments;
};

// Counters of the loader that change whenever a module is loaded or unloaded.
struct Generation {
  std::uint64_t adds = 0;
  std::uint64_t subs = 0;
  friend bool operator==(const Generation&, const Generation&) = default;
};

// Cheap (about 10 ns): the first step of dl_iterate_phdr.
Generation generation();

// Every loaded module in load order, and the generation that the list belongs to. Takes the
// loader's lock for the walk; callers holding a lock that a constructor may want must drop it.
std::vector<LoadedModule> loaded_modules(Generation& at);

// Keeps the module at path loaded until the process ends, so that its functions stay callable.
// False if the loader no longer has it.
bool pin(const std::string& path);

// A symbol as the module at path itself would find it: in it or in what it depends on. For what
// a library uses but does not define. Takes the loader's lock. Null if absent.
void* symbol_seen_by(const std::string& path, const char* name);

// The path with links resolved; empty if the file is not there.
std::string real_path(const std::string& path);

// The CPUs that the calling thread may run on; at least 1.
int usable_cpus();

// Registers handlers around fork; each may be null.
void at_fork(void (*prepare)(), void (*parent)(), void (*child)());

// The whole file, at most `most` bytes; files in /proc have no size to ask for beforehand.
Result<std::string> read_file(const std::string& path, std::size_t most = std::size_t{64} << 20);

// A mapping of another process, from its maps file.
struct Mapping {
  std::uintptr_t begin = 0;
  std::uintptr_t end = 0;
  std::uint64_t offset = 0;
  bool readable = false;
  bool executable = false;
  bool deleted = false;          // the file was unlinked or replaced since
  std::string path;
};

// Parses the text of /proc/PID/maps. Lines it does not understand are skipped; the octal escape
// of a newline in a path is undone.
std::vector<Mapping> parse_maps(const std::string& text);

}  // namespace corewise::os
