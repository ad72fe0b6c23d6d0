// What rewriting code and serving memory ask of the operating system: page rights, pages near a
// given address, uncommitted memory, the NUMA node, a value per thread. patch_linux.cpp answers.
//
// Nothing here follows from a guess about a page: rights are read before they are changed, and
// what was changed is put back. A refusal is a value, with the system's reason in it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "os.h"

namespace corewise::os {

// The rights of a page, as PROT_ bits.
struct Rights {
  int bits = 0;
  bool readable() const;
  bool writable() const;
  bool executable() const;
};

// This process's mappings at one moment.
class AddressSpace {
 public:
  static Result<AddressSpace> read();

  // Rights of [at, at + size); nothing if a part is not mapped or they are not the same all over.
  std::optional<Rights> rights(std::uintptr_t at, std::size_t size) const;

  // Free ranges of `size` bytes no further than `reach` from `near`, nearest first. Each lies at
  // the upper end of its gap: the lower end is where a heap may want to grow.
  std::vector<std::uintptr_t> gaps(std::uintptr_t near, std::uintptr_t reach,
                                   std::size_t size) const;

 private:
  struct Range {
    std::uintptr_t begin, end;
    int bits;
  };
  std::vector<Range> ranges_;
};

std::size_t page_size();

// Gives the pages of [at, at + size) `rights`, with write access added where asked. 0 or errno.
int set_rights(std::uintptr_t at, std::size_t size, Rights rights, bool and_writable);

// A new writable page at one of `candidates`, or anywhere if there are none. It is never moved.
Result<std::uintptr_t> map_page(const std::vector<std::uintptr_t>& candidates);

// Makes a page from map_page readable and executable, no longer writable.
std::optional<Error> seal_page(std::uintptr_t page);
void unmap_page(std::uintptr_t page);

// Makes every core forget what it has decoded of these bytes.
void code_changed(std::uintptr_t at, std::size_t size);

// Calls `visit` for every loaded module while the loader's lock keeps them loaded. It must not
// load, unload, look up symbols or visit again, nor take a lock under which another thread does.
void visit_modules(const std::function<void(const LoadedModule&)>& visit);

// The same without those known; all of them if something was unloaded since.
void visit_modules(const KnownModules& known,
                   const std::function<void(const LoadedModule&)>& visit);

// The same without those seen, to which it adds what it visits; returns those seen before.
KnownModules visit_new_modules(KnownModules& seen,
                               const std::function<void(const LoadedModule&)>& visit);

// The address that programs at large see for a name; null if there is none.
void* global_symbol(const char* name);

// The thread-local variables of a module: the loader's number for it, and their size in bytes. Both
// are 0 where it has none.
struct ThreadLocals {
  unsigned long module = 0;
  std::size_t size = 0;
};
ThreadLocals thread_locals(std::uintptr_t base);

// A place that each thread of this process has, at the same distance from its thread-local
// variables in every thread: where the C library keeps its robust mutexes for the kernel. Nothing
// if that is not known of all of them.
struct ThreadPlaces {
  std::uintptr_t own = 0;
  std::vector<std::uintptr_t> all;
};
std::optional<ThreadPlaces> thread_places();

bool is_main_thread();

// The rest is called from within hooks: it takes no lock and allocates nothing.

// Address space without memory behind it; null if there is none left.
std::byte* reserve(std::size_t size);
bool commit(std::byte* at, std::size_t size);
// Gives the memory back and keeps the addresses: the next touch brings zeros.
void discard(std::byte* at, std::size_t size);
void release(std::byte* at, std::size_t size);

// The calling thread's copy of them, as words. A thread that has used none of them yet may not ask:
// the loader might have to allocate its copy first.
std::span<std::uintptr_t> own_copy(const ThreadLocals& variables);

// Whether the word may be read now.
bool is_readable(std::uintptr_t word);

// Of the calling thread now. The first call reads a file and must not come from a hook.
unsigned numa_node();

// How many bytes a malloc'ed block can really hold.
std::size_t allocated_size(void* block);

// One pointer per thread, handed to `end` when the thread ends.
class ThreadPointer {
 public:
  // False if the system has no more of them.
  bool create(void (*end)(void*));
  void* get() const;
  bool set(void* value) const;

 private:
  unsigned key_ = 0;
};

}  // namespace corewise::os
