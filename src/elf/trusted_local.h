// Local symbols of a loaded module. Only the file holds them, and it may have been replaced since
// the module was loaded.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "elf_reader.h"

namespace corewise::elf {

// A symbol of the file's .symtab, if the file still matches the module at `base` in that symbol:
// read-only bytes must be the same in `memory`, and writable bytes must be there. Nothing for a
// symbol without a size, or of more than 64 KiB.
std::optional<Symbol> trusted_local(const File& file, const Bytes& memory, std::uint64_t base,
                                    std::string_view name);

}  // namespace corewise::elf
