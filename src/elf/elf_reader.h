// Reads the dynamic symbols of an ELF module, wherever its bytes are: in this process's memory, in
// a file, or in the memory of another process. 64-bit little-endian modules; every offset and
// count is checked against what is there, since files may be cut short or hostile.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "dynamic.h"
#include "os/descriptor.h"
#include "os/os.h"

namespace corewise::elf {

struct Symbol {
  std::uint64_t value = 0;  // address in the file; add the load bias for the run-time address
  std::uint64_t size = 0;
  bool function = false;
  std::uint32_t number = 0;  // in its table
};

// A pointer through which a module calls a function of another module.
struct Import {
  std::uint64_t entry = 0;  // address in the file
  std::string version;      // needed of the function; empty if any will do
};

// Finds symbols by name, through the GNU hash table, or the older one if that is missing.
class Symbols {
 public:
  // From the dynamic section at `dynamic`. `bias` is what the loader added to the pointers it
  // relocated (glibc rewrites d_ptr in memory; files hold them unrelocated).
  static Result<Symbols> from_dynamic(const Bytes& bytes, std::uint64_t dynamic,
                                      std::uint64_t bias);

  std::optional<Symbol> find(std::string_view name) const;
  std::string soname() const;
  // Whether the module gives its symbol a version. One without serves any need.
  bool has_version(const Symbol& symbol) const;

  // That of a function of that name.
  std::optional<Import> imported(std::string_view name) const;

 private:
  friend class File;
  const Bytes* bytes_ = nullptr;
  Dynamic tables_;
  std::uint32_t buckets_ = 0;
  std::uint32_t symoffset_ = 0;
  std::uint32_t bloom_words_ = 0;
  std::uint32_t bloom_shift_ = 0;
  std::uint32_t chains_ = 0;  // of the older table: also the number of symbols

  bool read_string_equals(std::uint64_t offset, std::string_view name) const;
  std::optional<Symbol> symbol_at(std::uint32_t index, std::string_view name) const;
  std::optional<Symbol> find_gnu(std::string_view name) const;
  std::optional<Symbol> find_sysv(std::string_view name) const;
  template <class T>
  bool read(std::uint64_t address, T& out) const {
    return bytes_->read(address, &out, sizeof(T));
  }
};

// The memory of a module of this process, bounded by its readable segments.
class LiveBytes final : public Bytes {
 public:
  explicit LiveBytes(const os::LoadedModule& module) : module_(module) {}
  bool read(std::uint64_t address, void* out, std::size_t n) const override;

 private:
  const os::LoadedModule& module_;
};

// The symbols of a module of this process, found in its memory.
class LiveSymbols {
 public:
  explicit LiveSymbols(const os::LoadedModule& module)
      : base_(module.base),
        bytes_(module),
        symbols_(Symbols::from_dynamic(bytes_, module.dynamic, module.base)) {}
  // The symbols point to the bytes.
  LiveSymbols(const LiveSymbols&) = delete;
  LiveSymbols& operator=(const LiveSymbols&) = delete;

  explicit operator bool() const { return static_cast<bool>(symbols_); }
  const Symbols& operator*() const { return *symbols_; }
  const Symbols* operator->() const { return &*symbols_; }
  const Error& error() const { return symbols_.error(); }

  // Nothing if the module has no such symbol, or none that can be read.
  std::optional<Symbol> find(std::string_view name) const {
    return symbols_ ? symbols_->find(name) : std::nullopt;
  }
  // Where it is; 0 if there is none.
  std::uintptr_t address(std::string_view name) const {
    const auto symbol = find(name);
    return symbol ? base_ + static_cast<std::uintptr_t>(symbol->value) : 0;
  }

 private:
  std::uintptr_t base_;
  LiveBytes bytes_;
  Result<Symbols> symbols_;
};

// A module on disk. Reads on demand, so that a 500 MB library costs a few pages, and never maps
// it: a file truncated under a mapping would kill us.
class File final : public Bytes {
 public:
  static Result<File> open(const std::string& path);

  // By address in the file's own address space (program headers translate to offsets).
  bool read(std::uint64_t address, void* out, std::size_t n) const override;
  Result<Symbols> symbols() const;

  // A part of the file that the loader maps.
  struct Load {
    std::uint64_t address, offset, file_size;
    std::uint64_t memory_size;  // as much as the file has, or more
    bool executable, writable;
  };
  const std::vector<Load>& loads() const { return loads_; }
  // False for a program without shared libraries: it has no dynamic symbols and needs none.
  bool is_dynamic() const { return dynamic_ != 0; }

  // A symbol of .symtab, which holds local names too if the file was not stripped.
  std::optional<Symbol> find_local(std::string_view name) const;

 private:
  File() = default;
  bool read_at(std::uint64_t offset, void* out, std::size_t n) const;

  os::Descriptor file_;
  std::uint64_t file_size_ = 0;
  std::uint64_t dynamic_ = 0;
  std::uint64_t sections_ = 0;
  std::uint16_t section_count_ = 0;
  std::uint16_t section_size_ = 0;
  std::vector<Load> loads_;
};

}  // namespace corewise::elf
