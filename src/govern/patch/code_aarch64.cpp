// AArch64: a branch over one instruction. All are four bytes long, so the first one will do; only
// landing pads (bti) and the signing of the return address (paciasp) stay before it.
//
// The architecture does not promise that any instruction may be replaced by a branch while other
// cores run it; cores fetch an aligned word as a whole all the same, and membarrier makes them
// fetch it anew.
#include <cstring>
#include <string>

#include "code.h"

namespace corewise::govern::code {
namespace {

constexpr std::size_t kInstruction = 4;
constexpr std::uint32_t kPaciasp = 0xD503233F;
constexpr std::uint32_t kAutiasp = 0xD50323BF;
constexpr std::uint32_t kBranchToX16 = 0xD61F0200;
// bti, bti c, bti j, bti jc differ in two bits.
constexpr std::uint32_t kBti = 0xD503241F;
constexpr std::uint32_t kBtiMask = 0xFFFFFF3F;

std::uint32_t read32(std::span<const std::uint8_t> bytes, std::size_t at) {
  std::uint32_t value = 0;
  std::memcpy(&value, bytes.data() + at, sizeof value);
  return value;
}

std::int64_t extended(std::uint32_t value, unsigned bits) {
  const std::int64_t sign = std::int64_t{1} << (bits - 1);
  return (static_cast<std::int64_t>(value) ^ sign) - sign;
}

// A branch's distance in bytes; 0 if the instruction is not a branch.
std::int64_t branch_distance(std::uint32_t code) {
  if ((code & 0x7C000000U) == 0x14000000U) return extended(code & 0x3FFFFFFU, 26) * 4;  // b, bl
  const std::uint32_t top = code & 0x7E000000U;
  if ((code & 0xFE000000U) == 0x54000000U || top == 0x34000000U) {  // b.cond, cbz, cbnz
    return extended(code >> 5U & 0x7FFFFU, 19) * 4;
  }
  if (top == 0x36000000U) return extended(code >> 5U & 0x3FFFU, 14) * 4;  // tbz, tbnz
  return 0;
}

bool is_address_of_page(std::uint32_t code) { return (code & 0x9F000000U) == 0x90000000U; }

// Whether the instruction does the same at another address.
bool runs_anywhere(std::uint32_t code) {
  const bool load_or_store = (code & 0x0A000000U) == 0x08000000U;
  if (load_or_store) return (code & 0x3B000000U) != 0x18000000U;  // not relative to pc
  return (code & 0x1F800000U) == 0x11000000U ||                   // add, sub, cmp, mov with sp
         (code & 0x1F800000U) == 0x12800000U ||                   // mov of an immediate
         (code & 0x1F000000U) == 0x0A000000U ||                   // logical; mov of registers
         (code & 0x1F000000U) == 0x0B000000U;                     // add, sub of registers
}

bool is_branched_to(std::span<const std::uint8_t> bytes, std::size_t target) {
  for (std::size_t at = 0; at + kInstruction <= bytes.size(); at += kInstruction) {
    const std::int64_t distance = branch_distance(read32(bytes, at));
    if (distance != 0 &&
        static_cast<std::int64_t>(at) + distance == static_cast<std::int64_t>(target)) {
      return true;
    }
  }
  return false;
}

Result<JumpSite> find_site(const Function& function) {
  JumpSite site;
  site.length = kInstruction;
  for (; site.offset + kInstruction <= function.bytes.size(); site.offset += kInstruction) {
    const std::uint32_t code = read32(function.bytes, site.offset);
    if ((code & kBtiMask) == kBti) continue;
    if (code == kPaciasp) {
      append(site.undo, kAutiasp);
      continue;
    }
    if (is_branched_to(function.bytes, site.offset)) {
      return Error{CW_NOT_AVAILABLE, "the function jumps back to its first instruction"};
    }
    if (runs_anywhere(code) || is_address_of_page(code)) return site;
    return Error{CW_NOT_AVAILABLE,
                 "unknown instruction at byte " + std::to_string(site.offset) + " of the function"};
  }
  return Error{CW_NOT_AVAILABLE, "the function is too short for a jump"};
}

CodeBytes jump(std::uintptr_t from, std::uintptr_t to) {
  const auto distance = static_cast<std::uint32_t>((to - from) >> 2U);
  CodeBytes out;
  append(out, 0x14000000U | (distance & 0x3FFFFFFU));
  return out;
}

// ldr x<reg>, <words further on>
std::uint32_t load_literal(unsigned reg, std::size_t words) {
  return 0x58000000U | static_cast<std::uint32_t>(words) << 5U | reg;
}

Result<CodeBytes> resume(const Function& function, const JumpSite& site, std::uintptr_t at) {
  CodeBytes out(function.bytes.begin(),
                function.bytes.begin() + static_cast<std::ptrdiff_t>(site.offset));
  const std::uint32_t code = read32(function.bytes, site.offset);
  if (is_address_of_page(code)) {
    const std::uint32_t pages = (code >> 5U & 0x7FFFFU) << 2U | (code >> 29U & 3U);
    const std::uintptr_t here = function.address + site.offset;
    append(out, load_literal(code & 31U, 2));
    append(out, read32(jump(at + out.size(), here + kInstruction), 0));
    append(out, static_cast<std::uint64_t>((here & ~std::uintptr_t{0xFFF})) +
                    static_cast<std::uint64_t>(extended(pages, 21) * 4096));
    return out;
  }
  append(out, code);
  // A plain branch: in guarded pages a branch through a register would need a landing pad there.
  const std::uintptr_t back = function.address + site.offset + kInstruction;
  const CodeBytes branch = jump(at + out.size(), back);
  out.insert(out.end(), branch.begin(), branch.end());
  return out;
}

Result<CodeBytes> enter(const CodeBytes& undo, int argument, const void* context,
                        const void* target) {
  if (argument >= 8) {
    return Error{CW_NOT_AVAILABLE, "no register is left for a further argument"};
  }
  CodeBytes out = undo;
  // The two addresses follow the code, on the next multiple of eight.
  const std::size_t code_words = out.size() / kInstruction + (argument >= 0 ? 3 : 2);
  const std::size_t data = (code_words + 1) / 2 * 2;
  const auto distance = [&](std::size_t word) { return word - out.size() / kInstruction; };
  if (argument >= 0) append(out, load_literal(static_cast<unsigned>(argument), distance(data + 2)));
  append(out, load_literal(16, distance(data)));
  append(out, kBranchToX16);
  out.resize(data * kInstruction);
  append(out, reinterpret_cast<std::uint64_t>(target));
  append(out, reinterpret_cast<std::uint64_t>(context));
  return out;
}

bool ends_in_call(std::span<const std::uint8_t> bytes) noexcept {
  if (bytes.size() < kInstruction) return false;
  const std::uint32_t last = read32(bytes, bytes.size() - kInstruction);
  return (last & 0xFC000000U) == 0x94000000U ||  // bl
         (last & 0xFEFFF000U) == 0xD63F0000U;    // blr, also of a signed address
}

}  // namespace

// 128 MiB, less room for a page and a large function.
const Architecture kAarch64 = {
    "aarch64", std::uintptr_t{112} << 20U, find_site, resume, enter, jump, ends_in_call, nullptr};

}  // namespace corewise::govern::code
