// How a spin word is found when no function sets it: by a symbol that is not exported, by the code
// that stores it, by what it holds.
//
// Every finder proves what it found by its value, which the library itself put there; what does not
// fit is not touched.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>

#include "pool.h"

namespace corewise {

using Plausible = std::function<bool(std::uint64_t value)>;

// The object `symbol`, of 4 or 8 bytes, of the pool's module, exported or not. `code` names a
// function of the same library: its bytes in memory must be those in the file, or the file is
// another by now.
std::optional<std::uintptr_t> word_by_symbol(const Pool& pool, const char* symbol,
                                             std::size_t width, const char* code,
                                             const Plausible& plausible);

// The only 4-byte word that the exported function `code` stores to at a fixed address, if it is
// plausible. Understands x86-64.
std::optional<std::uintptr_t> word_by_store(const Pool& pool, const char* code,
                                            const Plausible& plausible);

// The one aligned 8-byte word in the module's writable memory that holds `value` and has one that
// holds a plausible companion within 32 bytes. None if two such words do.
std::optional<std::uintptr_t> word_by_value(const Pool& pool, std::uint64_t value,
                                            const Plausible& companion);

// The two searches, on bytes that stand at `address`.
std::optional<std::uintptr_t> stored_word(std::span<const std::byte> code, std::uintptr_t address,
                                          const Plausible& plausible_address);
std::optional<std::uintptr_t> valued_word(std::span<const std::uint64_t> words,
                                          std::uintptr_t address, std::uint64_t value,
                                          const Plausible& companion);

}  // namespace corewise
