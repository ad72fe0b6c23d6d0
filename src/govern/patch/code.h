// Machine code: where a function can be made to jump elsewhere, and the code on both sides.
//
// Other threads run through the function while we change it, and one may have been stopped anywhere
// in it. So the rule is: a jump replaces exactly one whole instruction, in one atomic store. Then
// every thread is before it or behind it, never inside, and we need not stop any thread. If the
// entry's first instruction is too short for a jump, we take the first one that is long enough, and
// the code we jump to undoes what ran before it: pushes are popped, scratch registers are left as
// they are.
//
// A small decoder accepts only what it knows; the first unknown instruction ends the search, and
// the error says so. Pure functions of bytes: each architecture's run on every machine.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <span>
#include <vector>

#include "base/error.h"

namespace corewise::govern::code {

using CodeBytes = std::vector<std::uint8_t>;

template <class T>
void append(CodeBytes& out, T value) {
  const std::size_t at = out.size();
  out.resize(at + sizeof value);
  std::memcpy(out.data() + at, &value, sizeof value);
}
inline void append(CodeBytes& out, std::initializer_list<std::uint8_t> bytes) {
  out.insert(out.end(), bytes);
}

// A naturally aligned word of memory, of 8 or 16 bytes.
struct alignas(16) CodeWord {
  std::array<std::uint8_t, 16> bytes{};
};

// A function as it stands in memory, and what its callers pass.
struct Function {
  std::uintptr_t address = 0;
  std::span<const std::uint8_t> bytes;  // the whole function: we check its own jumps
  int arguments = 0;                    // integer arguments; no floating-point, no variadic ones
};

// The instruction to replace.
struct JumpSite {
  std::size_t offset = 0;  // from the entry
  std::size_t length = 0;
  std::size_t width = 8;  // of the aligned word that holds the jump
  CodeBytes undo;         // code that undoes what the instructions before it did
};

struct Architecture {
  const char* name;
  std::uintptr_t reach;  // how far a jump goes
  Result<JumpSite> (*find_site)(const Function& function);

  // Code for `at` that continues the function as if nothing had been replaced.
  Result<CodeBytes> (*resume)(const Function& function, const JumpSite& site, std::uintptr_t at);

  // Code that runs `undo`, passes `context` as integer argument number `argument` (from 0; -1:
  // passes none) and jumps to `target`. Works at any address.
  Result<CodeBytes> (*enter)(const CodeBytes& undo, int argument, const void* context,
                             const void* target);

  // The jump that replaces an instruction at `from`.
  CodeBytes (*jump)(std::uintptr_t from, std::uintptr_t to);

  // Whether these bytes end in a call, as those before a return address do.
  bool (*ends_in_call)(std::span<const std::uint8_t> bytes) noexcept;

  // Compares and exchanges an aligned word of 16 bytes; null where no jump needs that.
  bool (*exchange16)(std::uintptr_t at, const CodeWord& expected, const CodeWord& desired);
};

extern const Architecture kX86_64;
extern const Architecture kAarch64;

// This machine's architecture; null if we do not know it yet.
const Architecture* native();

}  // namespace corewise::govern::code
