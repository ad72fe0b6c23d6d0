// What patching code and serving memory need from the operating system: page rights, pages near a
// given address, uncommitted memory, the NUMA node, a value per thread. See patch_linux.cpp.
//
// Nothing here guesses the rights of a page: callers read them before a change and restore them
// after it. A refusal is a value that holds the system's reason.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "os.h"

namespace corewise::os {

// The rights of a page, as PROT_ bits.
struct Rights {
  int bits = 0;
  bool readable() const;
  bool writable() const;
  bool executable() const;
  bool of_data() const { return readable() && writable() && !executable(); }
};

// This process's mappings at one moment.
class AddressSpace {
 public:
  static Result<AddressSpace> read();

  // Rights of [at, at + size); nothing if a part is not mapped or the rights differ within it.
  std::optional<Rights> rights(std::uintptr_t at, std::size_t size) const;

  // Free ranges of `size` bytes no further than `reach` from `near`, nearest first. Each lies at
  // the upper end of its gap: a heap may grow into the lower end. None lies below the main stack,
  // which grows downwards: without ASLR it is near the libraries.
  std::vector<std::uintptr_t> gaps(std::uintptr_t near, std::uintptr_t reach,
                                   std::size_t size) const;

 private:
  struct Range {
    std::uintptr_t begin, end;
    int bits;
    bool grows_down;  // the main stack
  };
  std::vector<Range> ranges_;
};

// What AddressSpace::rights() tells, as of now, from a kernel that can be asked for one mapping
// (Linux 6.11 and later). Reading all of them takes a millisecond in a process with many modules.
// An error says that this kernel cannot be asked.
Result<std::optional<Rights>> ask_rights(std::uintptr_t at, std::size_t size);

std::size_t page_size();

// Ends a sentence that says which change of rights the system refuses: with why, and who does that.
std::string refused_by(int error);

// Gives the pages of [at, at + size) `rights`, plus write access if asked. Returns 0 or errno.
int set_rights(std::uintptr_t at, std::size_t size, Rights rights, bool and_writable);

// Maps a new writable page at one of `candidates` and nowhere else, or anywhere if there are none.
Result<std::uintptr_t> map_page(const std::vector<std::uintptr_t>& candidates);

// Makes a page from map_page readable and executable, no longer writable.
std::optional<Error> seal_page(std::uintptr_t page);
void unmap_page(std::uintptr_t page);

// Makes every core forget what it has decoded of these bytes.
void code_changed(std::uintptr_t at, std::size_t size);

// Calls `visit` for every loaded module while the loader's lock keeps them loaded. `visit` must not
// load, unload, look up symbols or visit modules, nor take a lock under which another thread does.
void visit_modules(const std::function<void(const LoadedModule&)>& visit);

// The same without the known modules; all of them if a module was unloaded since.
void visit_modules(const KnownModules& known,
                   const std::function<void(const LoadedModule&)>& visit);

// The same without the modules in `seen`. Adds those it visits, and returns those seen before.
KnownModules visit_new_modules(KnownModules& seen,
                               const std::function<void(const LoadedModule&)>& visit);

// The address of a name in the global scope; null if there is none.
void* global_symbol(const char* name);

// Whether dlsym with this handle looks behind the module of its caller (RTLD_NEXT).
bool means_next(const void* handle) noexcept;
// Whether the module that holds this code was loaded before all others but the program itself.
bool is_first_library(std::uintptr_t code);

// The thread-local variables of a module: the loader's number for the module, and their size in
// bytes. Both are 0 if the module has none.
struct ThreadLocals {
  unsigned long module = 0;
  std::size_t size = 0;
};
ThreadLocals thread_locals(std::uintptr_t base);

// An address that each thread of this process has, at the same distance from its thread-local
// variables in every thread: where the C library keeps its robust mutexes for the kernel. Nothing
// if the address of one thread is not known.
struct ThreadPlaces {
  std::uintptr_t own = 0;
  std::vector<std::uintptr_t> all;
};
std::optional<ThreadPlaces> thread_places();

bool is_main_thread();

// Hooks call the functions below: they take no lock and allocate nothing.

// Address space without memory behind it; null if the process is out of it.
std::byte* reserve(std::size_t size);
bool commit(std::byte* at, std::size_t size);
// Gives the memory back and keeps the addresses: the next access finds zeros.
void discard(std::byte* at, std::size_t size);
void release(std::byte* at, std::size_t size);

// The calling thread's copy of the variables, as words. A thread that has used none of them yet
// must not call this: the loader might have to allocate its copy first.
std::span<std::uintptr_t> own_copy(const ThreadLocals& variables);

// Whether the word is readable now.
bool is_readable(std::uintptr_t word);

// The node of the calling thread now. The first call reads a file and must not come from a hook.
unsigned numa_node();

// How many bytes a malloc'ed block can really hold.
std::size_t allocated_size(void* block);

// One pointer per thread. A thread passes its own to `end` when it ends.
class ThreadPointer {
 public:
  // False if the process is out of thread keys.
  bool create(void (*end)(void*));
  void* get() const;
  bool set(void* value) const;

 private:
  unsigned key_ = 0;
};

}  // namespace corewise::os
