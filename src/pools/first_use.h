// Whether the program has used a library yet, read from the library's memory without calling it.
//
// Many libraries set themselves up at the first call of any of their functions: they read their
// variables then, register with others (OMP: Error #15), count CPUs. A program may still set such
// a variable, or never use the library at all, so an observer must not make the first call. Such
// functions test a word of their library's data before anything else; we read that word.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>

namespace corewise {

namespace os {
class AddressSpace;
}

enum class Use {
  kUsed,
  kNotYet,
  kUnknown,  // the word was not found
};

// The address of the word that the function at `code` tests or hands on first; 0 if none is found.
// The function must stay loaded.
std::uintptr_t first_word_of(std::uintptr_t code);

// Reads the lowest byte of that word, which all such libraries leave 0 until they are set up.
// Address 0: not known.
Use use_by_word(std::uintptr_t address);

// The first reference to something that `is_data` accepts, in a function whose memory is readable.
using IsData = std::function<bool(std::uintptr_t address)>;
std::uintptr_t first_reference(const os::AddressSpace& space, std::uintptr_t code,
                               const IsData& is_data);

// Apart for tests: the searches, on code at `address`.
std::optional<std::uintptr_t> first_word_x86_64(std::span<const std::uint8_t> code,
                                                std::uintptr_t address, const IsData& is_data);
std::optional<std::uintptr_t> first_word_aarch64(std::span<const std::uint8_t> code,
                                                 std::uintptr_t address, const IsData& is_data);

}  // namespace corewise
