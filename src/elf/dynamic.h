// What a module's dynamic section says: where its tables are. The System V ABI, "Dynamic Section".
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/error.h"
#include "bytes.h"

namespace corewise::elf {

// Addresses as they are in `bytes`; 0: the module has no such table.
struct Dynamic {
  struct Table {
    std::uint64_t address = 0;
    std::uint64_t size = 0;  // in bytes
  };
  std::uint64_t symbols = 0;
  Table strings;
  std::uint64_t gnu_hash = 0;
  std::uint64_t sysv_hash = 0;
  Table plt_relocations;
  Table data_relocations;
  // Which version of each symbol the module defines or needs, and the names of those it needs.
  std::uint64_t symbol_versions = 0;
  std::uint64_t needed_versions = 0;
  std::optional<std::uint64_t> soname;  // offset in the strings
};

// Whether a relocation of this type fills a GOT entry: an address through which a module calls a
// function of another module (JUMP_SLOT and GLOB_DAT of this processor).
bool is_got_entry(std::uint32_t type);

// Reads the section at `at`. `bias`: what the loader added to the pointers that it relocated (glibc
// rewrites them in memory; musl, the vDSO and files have them as the linker wrote them). CW_BAD_ELF
// if the section is cut short or has no end. Allocates only for an Error.
Result<Dynamic> read_dynamic(const Bytes& bytes, std::uint64_t at, std::uint64_t bias);

// No name in a sound module is longer.
inline constexpr std::size_t kLongestName = 1024;

// A string of the module, as far as its table goes; empty if it does not reach there.
std::string string_at(const Bytes& bytes, const Dynamic::Table& strings, std::uint64_t offset);

// Which version the module needs of the symbol with this number, as "GOMP_4.0": two libraries that
// define the same name tell their symbols apart by it. Empty if any version will do. From the LSB,
// "Symbol Versioning".
std::string needed_version(const Bytes& bytes, const Dynamic& tables, std::uint64_t symbol);

// Whether the module gives the symbol with this number, which it defines, a version.
bool is_versioned(const Bytes& bytes, const Dynamic& tables, std::uint64_t symbol);

}  // namespace corewise::elf
