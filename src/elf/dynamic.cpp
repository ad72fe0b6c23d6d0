#include "dynamic.h"

#include <elf.h>

namespace corewise::elf {
namespace {

// More entries than any dynamic section holds; stops a walk through hostile bytes.
constexpr std::uint64_t kMostEntries = 4096;

void take(Dynamic& found, const Elf64_Dyn& entry) {
  const std::uint64_t value = entry.d_un.d_val;
  switch (entry.d_tag) {
    case DT_SYMTAB:
      found.symbols = value;
      break;
    case DT_STRTAB:
      found.strings.address = value;
      break;
    case DT_STRSZ:
      found.strings.size = value;
      break;
    case DT_GNU_HASH:
      found.gnu_hash = value;
      break;
    case DT_HASH:
      found.sysv_hash = value;
      break;
    case DT_JMPREL:
      found.plt_relocations.address = value;
      break;
    case DT_PLTRELSZ:
      found.plt_relocations.size = value;
      break;
    case DT_RELA:
      found.data_relocations.address = value;
      break;
    case DT_RELASZ:
      found.data_relocations.size = value;
      break;
    case DT_VERSYM:
      found.symbol_versions = value;
      break;
    case DT_VERNEED:
      found.needed_versions = value;
      break;
    case DT_SONAME:
      found.soname = value;
      break;
    default:
      break;
  }
}

constexpr Elf64_Half kVersionNumber = 0x7fff;  // the other bit hides a definition

// Of a symbol's version; VER_NDX_GLOBAL or VER_NDX_LOCAL if it has none.
Elf64_Half version_number(const Bytes& bytes, const Dynamic& tables, std::uint64_t symbol) {
  Elf64_Half number = VER_NDX_GLOBAL;
  if (tables.symbol_versions != 0 &&
      !bytes.read(tables.symbol_versions + symbol * sizeof number, &number, sizeof number)) {
    return VER_NDX_GLOBAL;
  }
  return number & kVersionNumber;
}

}  // namespace

bool is_got_entry(std::uint32_t type) {
#if defined(__aarch64__)
  return type == R_AARCH64_JUMP_SLOT || type == R_AARCH64_GLOB_DAT;
#else
  return type == R_X86_64_JUMP_SLOT || type == R_X86_64_GLOB_DAT;
#endif
}

Result<Dynamic> read_dynamic(const Bytes& bytes, std::uint64_t at, std::uint64_t bias) {
  Dynamic found;
  for (std::uint64_t i = 0; i < kMostEntries; ++i) {
    Elf64_Dyn entry;
    if (!bytes.read(at + i * sizeof entry, &entry, sizeof entry)) {
      return Error{CW_BAD_ELF, "its dynamic section is cut short"};
    }
    if (entry.d_tag != DT_NULL) {
      take(found, entry);
      continue;
    }
    for (std::uint64_t* pointer :
         {&found.symbols, &found.strings.address, &found.gnu_hash, &found.sysv_hash,
          &found.plt_relocations.address, &found.data_relocations.address, &found.symbol_versions,
          &found.needed_versions}) {
      if (*pointer != 0 && *pointer < bias) *pointer += bias;
    }
    return found;
  }
  return Error{CW_BAD_ELF, "its dynamic section has no end"};
}

std::string string_at(const Bytes& bytes, const Dynamic::Table& strings, std::uint64_t offset) {
  std::string text;
  for (char c; offset < strings.size && text.size() < kLongestName; ++offset, text += c) {
    if (!bytes.read(strings.address + offset, &c, sizeof c) || c == '\0') break;
  }
  return text;
}

std::string needed_version(const Bytes& bytes, const Dynamic& tables, std::uint64_t symbol) {
  const Elf64_Half number = version_number(bytes, tables, symbol);
  if (number <= VER_NDX_GLOBAL || tables.needed_versions == 0) return {};
  std::uint64_t steps = 0;
  std::uint64_t at = tables.needed_versions;
  for (Elf64_Verneed library; bytes.read(at, &library, sizeof library); at += library.vn_next) {
    std::uint64_t version_at = at + library.vn_aux;
    for (Elf64_Half i = 0; i < library.vn_cnt && steps < kMostEntries; ++i, ++steps) {
      Elf64_Vernaux version;
      if (!bytes.read(version_at, &version, sizeof version)) return {};
      if ((version.vna_other & kVersionNumber) == number) {
        return string_at(bytes, tables.strings, version.vna_name);
      }
      version_at += version.vna_next;
    }
    if (library.vn_next == 0 || ++steps >= kMostEntries) break;
  }
  return {};
}

bool is_versioned(const Bytes& bytes, const Dynamic& tables, std::uint64_t symbol) {
  return version_number(bytes, tables, symbol) > VER_NDX_GLOBAL;
}

}  // namespace corewise::elf
