// How ELF's two kinds of hash table (DT_GNU_HASH and DT_HASH) spell a symbol's name.
#pragma once

#include <cstdint>
#include <string_view>

namespace corewise {

constexpr std::uint32_t gnu_hash(std::string_view name) {
  std::uint32_t hash = 5381;
  for (const char c : name) hash = hash * 33 + static_cast<unsigned char>(c);
  return hash;
}

// The hash of the System V ABI, "Hash Table" section.
constexpr std::uint32_t sysv_hash(std::string_view name) {
  std::uint32_t h = 0;
  for (const char c : name) {
    h = (h << 4) + static_cast<unsigned char>(c);
    const std::uint32_t g = h & 0xf0000000u;
    h ^= g >> 24;
    h &= ~g;
  }
  return h;
}

}  // namespace corewise
