#include "find_spin_word.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "elf/trusted_local.h"
#include "module_names.h"
#include "os/patch.h"

namespace corewise {
namespace {

constexpr std::size_t kMostCode = 65536;

// The value of a word that may lie anywhere; nothing if it is not data.
std::optional<std::uint64_t> data_at(const os::AddressSpace& space, std::uintptr_t at,
                                     std::size_t width) {
  if (at % width != 0) return std::nullopt;
  const auto rights = space.rights(at, width);
  if (!rights || !rights->of_data()) return std::nullopt;
  return SpinWord{at, width}.load();
}

}  // namespace

std::optional<std::uintptr_t> stored_word(std::span<const std::byte> code, std::uintptr_t address,
                                          const Plausible& plausible_address) {
  constexpr std::size_t kLength = 6;
  std::optional<std::uintptr_t> found;
  for (std::size_t i = 0; i + kLength <= code.size(); ++i) {
    // mov %reg32, displacement(%rip): 89, then a ModRM of mode 0 and base 5.
    if (code[i] != std::byte{0x89} || (code[i + 1] & std::byte{0xc7}) != std::byte{0x05}) continue;
    // With a REX prefix of W it stores 8 bytes.
    if (i > 0 && (code[i - 1] & std::byte{0xf8}) == std::byte{0x48}) continue;
    std::int32_t displacement = 0;
    std::memcpy(&displacement, &code[i + 2], sizeof(displacement));
    const std::uintptr_t at =
        address + i + kLength + static_cast<std::uintptr_t>(std::int64_t{displacement});
    if (found == at || !plausible_address(at)) continue;
    if (found) return std::nullopt;
    found = at;
  }
  return found;
}

std::optional<WordWithCompanion> valued_word(std::span<const std::uint64_t> words,
                                             std::uintptr_t address, std::uint64_t value,
                                             const Plausible& companion) {
  constexpr std::size_t kNear = 4;
  const auto place = [&](std::size_t i) { return address + i * sizeof(std::uint64_t); };
  std::optional<WordWithCompanion> found;
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (words[i] != value) continue;
    const std::size_t first = i > kNear ? i - kNear : 0;
    const auto around = words.subspan(first, std::min(words.size(), i + kNear + 1) - first);
    const auto near = std::ranges::find_if(around, companion);
    if (near == around.end()) continue;
    if (found) return std::nullopt;
    const bool several = std::find_if(near + 1, around.end(), companion) != around.end();
    found = {place(i),
             several ? 0 : place(first + static_cast<std::size_t>(near - around.begin()))};
  }
  return found;
}

std::optional<std::uintptr_t> word_by_symbol(const Pool& pool, const char* symbol,
                                             std::size_t width, const char* code,
                                             const Plausible& plausible) {
  const ModuleNames names(pool);
  const auto space = os::AddressSpace::read();
  const auto file = elf::File::open(pool.loader_path);
  if (!space || !file) return std::nullopt;
  const auto word = file->find_local(symbol);
  if (!word || word->function || word->size != width) return std::nullopt;
  const elf::LiveBytes memory(names.module());
  // The word itself may hold anything by now, but the code beside it must not have changed.
  if (!elf::trusted_local(*file, memory, pool.base, code)) return std::nullopt;
  const std::uintptr_t at = pool.base + word->value;
  const auto value = data_at(*space, at, width);
  return value && plausible(*value) ? std::optional(at) : std::nullopt;
}

#if defined(__x86_64__)
std::optional<std::uintptr_t> word_by_store(const Pool& pool, const char* code,
                                            const Plausible& plausible) {
  const ModuleNames names(pool);
  const auto space = os::AddressSpace::read();
  const SymbolExtent function = names.exported(code);
  if (!space || function.address == 0 || function.size > kMostCode) return std::nullopt;
  std::vector<std::byte> bytes(function.size);
  const elf::LiveBytes memory(names.module());
  if (!memory.read(function.address, bytes.data(), bytes.size())) return std::nullopt;
  return stored_word(bytes, function.address, [&](std::uintptr_t at) {
    const auto value = data_at(*space, at, 4);
    return value && plausible(*value);
  });
}
#else
// stored_word() reads only x86-64 code.
std::optional<std::uintptr_t> word_by_store(const Pool&, const char*, const Plausible&) {
  return std::nullopt;
}
#endif

std::optional<WordWithCompanion> word_by_value(const Pool& pool, std::uint64_t value,
                                               const Plausible& companion) {
  const ModuleNames names(pool);
  const auto space = os::AddressSpace::read();
  if (!space) return std::nullopt;
  const std::size_t page = os::page_size();
  std::vector<std::uint64_t> words;
  std::optional<WordWithCompanion> found;
  for (const os::Segment& segment : names.module().segments) {
    // Page by page, as the first pages of a segment may be read-only after relocation.
    const std::uintptr_t end = segment.end / sizeof(std::uint64_t) * sizeof(std::uint64_t);
    std::uintptr_t at = (segment.begin + 7) / sizeof(std::uint64_t) * sizeof(std::uint64_t);
    while (at < end) {
      const std::uintptr_t next = std::min(end, (at / page + 1) * page);
      const auto rights = space->rights(at, next - at);
      if (rights && rights->of_data()) {
        words.resize((next - at) / sizeof(std::uint64_t));
        std::memcpy(words.data(), reinterpret_cast<const void*>(at), next - at);
        if (const auto here = valued_word(words, at, value, companion)) {
          if (found) return std::nullopt;
          found = here;
        }
      }
      at = next;
    }
  }
  return found;
}

}  // namespace corewise
