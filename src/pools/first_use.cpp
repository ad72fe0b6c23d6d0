#include "first_use.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstring>

#include "os/patch.h"

namespace corewise {
namespace {

// A function tests the word in its first few instructions.
constexpr std::size_t kWindow = 64;

template <class T>
T number_at(std::span<const std::uint8_t> bytes, std::size_t at) {
  T value{};
  std::memcpy(&value, &bytes[at], sizeof value);
  return value;
}

}  // namespace

std::optional<std::uintptr_t> first_word_x86_64(std::span<const std::uint8_t> code,
                                                std::uintptr_t address, const IsData& is_data) {
  constexpr unsigned kRexW = 8;
  for (std::size_t i = 0; i + 6 <= code.size(); ++i) {
    // A displacement from %rip is a ModRM of mode 0 and base 5.
    const auto relative = [&](std::size_t at) { return (code[at] & 0xc7U) == 0x05; };
    const bool wide = i > 0 && (code[i - 1] & 0xf0U) == 0x40 && (code[i - 1] & kRexW) != 0;
    std::size_t modrm = 0;
    std::size_t immediate = 0;
    if ((code[i] == 0x80 || code[i] == 0x83) && code[i + 1] == 0x3d) {  // cmp $imm8, word
      modrm = i + 1;
      immediate = 1;
    } else if (code[i] == 0x0f && code[i + 1] == 0xb6 && relative(i + 2)) {  // movzbl word, %reg
      modrm = i + 2;
    } else if (code[i] == (wide ? 0x8d : 0x8b) && relative(i + 1)) {  // lea or mov word, %reg
      modrm = i + 1;
    } else {
      continue;
    }
    const std::size_t end = modrm + 5 + immediate;
    if (end > code.size()) return std::nullopt;
    const auto displacement = number_at<std::int32_t>(code, modrm + 1);
    const std::uintptr_t at =
        address + end + static_cast<std::uintptr_t>(std::int64_t{displacement});
    if (is_data(at)) return at;
  }
  return std::nullopt;
}

namespace {

// Sets what an instruction of aarch64 may write to 0. It need not know all that write nothing: a
// register whose page is forgotten too early costs us a word, one whose page is kept too long gives
// us a wrong one.
void forget_written(std::uint32_t word, std::array<std::uintptr_t, 32>& pages) {
  const bool is_jump = (word & 0xfc000000U) == 0x14000000U || (word & 0xff000000U) == 0x54000000U;
  if (is_jump) return;
  if ((word & 0xfc000000U) == 0x94000000U) {  // bl: a function may write all that are not saved
    constexpr std::size_t kUnsaved = 19;
    std::fill_n(pages.begin(), kUnsaved, 0);
    return;
  }
  const bool is_pair = (word & 0x3a000000U) == 0x28000000U;
  if (is_pair) pages[word >> 10U & 31U] = 0;
  pages[word & 31U] = 0;
}

}  // namespace

std::optional<std::uintptr_t> first_word_aarch64(std::span<const std::uint8_t> code,
                                                 std::uintptr_t address, const IsData& is_data) {
  constexpr std::uintptr_t kPage = 4096;
  // What ADRP left in each register; 0: something else.
  std::array<std::uintptr_t, 32> pages{};
  for (std::size_t i = 0; i + 4 <= code.size(); i += 4) {
    const auto word = number_at<std::uint32_t>(code, i);
    const std::uint32_t target = word & 31U;
    const std::uint32_t base = word >> 5U & 31U;
    const std::uint32_t immediate = word >> 10U & 0xfffU;
    if ((word & 0x9f000000U) == 0x90000000U) {  // adrp
      auto distance = static_cast<std::int64_t>((word >> 5U & 0x7ffffU) << 2U | (word >> 29U & 3U));
      if ((distance & 0x100000) != 0) distance -= 0x200000;
      pages[target] = address / kPage * kPage + (i + address % kPage) / kPage * kPage +
                      static_cast<std::uintptr_t>(distance) * kPage;
      continue;
    }
    std::uintptr_t scale = 0;
    if ((word & 0xffc00000U) == 0x91000000U || (word & 0xffc00000U) == 0x39400000U) {
      scale = 1;  // add, ldrb
    } else if ((word & 0xffc00000U) == 0xb9400000U) {
      scale = 4;  // ldr of 32 bits
    }
    if (scale != 0 && pages[base] != 0) {
      const std::uintptr_t at = pages[base] + immediate * scale;
      if (is_data(at)) return at;
    }
    forget_written(word, pages);
  }
  return std::nullopt;
}

std::uintptr_t first_reference(const os::AddressSpace& space, std::uintptr_t code,
                               const IsData& is_data) {
  const auto here = space.rights(code, kWindow);
  if (!here || !here->readable() || !here->executable()) return 0;
  const std::span bytes(reinterpret_cast<const std::uint8_t*>(code), kWindow);
#if defined(__x86_64__)
  return first_word_x86_64(bytes, code, is_data).value_or(0);
#elif defined(__aarch64__)
  return first_word_aarch64(bytes, code, is_data).value_or(0);
#else
  return 0;
#endif
}

std::uintptr_t first_word_of(std::uintptr_t code) {
  const auto space = os::AddressSpace::read();
  if (code == 0 || !space) return 0;
  return first_reference(*space, code, [&](std::uintptr_t at) {
    const auto rights = space->rights(at, 1);
    return rights && rights->of_data();
  });
}

Use use_by_word(std::uintptr_t address) {
  if (address == 0) return Use::kUnknown;
  const std::atomic_ref byte(*reinterpret_cast<std::uint8_t*>(address));
  return byte.load(std::memory_order_acquire) != 0 ? Use::kUsed : Use::kNotYet;
}

}  // namespace corewise
