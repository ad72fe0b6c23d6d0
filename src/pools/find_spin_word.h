// Finds a spin word that no function sets: by a symbol that is not exported, by the code that
// stores it, or by its value.
//
// Every finder checks the value that the library itself stored in the word; we do not touch a word
// whose value does not fit.
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
// function of the same library: if its bytes in memory differ from those in the file, the file has
// been replaced.
std::optional<std::uintptr_t> word_by_symbol(const Pool& pool, const char* symbol,
                                             std::size_t width, const char* code,
                                             const Plausible& plausible);

// The only 4-byte word that the exported function `code` stores to at a fixed address, if it is
// plausible. Understands x86-64.
std::optional<std::uintptr_t> word_by_store(const Pool& pool, const char* code,
                                            const Plausible& plausible);

// A word that its value gives away, and its companion; 0 if several would do.
struct WordWithCompanion {
  std::uintptr_t at = 0;
  std::uintptr_t companion = 0;
  friend bool operator==(const WordWithCompanion&, const WordWithCompanion&) = default;
};

// The one aligned 8-byte word in the module's writable memory that holds `value` and has a
// plausible companion within 32 bytes. None if there are two such words.
std::optional<WordWithCompanion> word_by_value(const Pool& pool, std::uint64_t value,
                                               const Plausible& companion);

// Apart for tests: the two searches, on bytes at `address`.
std::optional<std::uintptr_t> stored_word(std::span<const std::byte> code, std::uintptr_t address,
                                          const Plausible& plausible_address);
std::optional<WordWithCompanion> valued_word(std::span<const std::uint64_t> words,
                                             std::uintptr_t address, std::uint64_t value,
                                             const Plausible& companion);

}  // namespace corewise
