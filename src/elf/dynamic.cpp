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
    case DT_SONAME:
      found.soname = value;
      break;
    default:
      break;
  }
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
          &found.plt_relocations.address, &found.data_relocations.address}) {
      if (*pointer != 0 && *pointer < bias) *pointer += bias;
    }
    return found;
  }
  return Error{CW_BAD_ELF, "its dynamic section has no end"};
}

}  // namespace corewise::elf
