// x86-64: a jump of five bytes (E9 and a distance of 32 bits) over one instruction of five or more.
//
// The decoder knows what compilers put at the start of functions: endbr64, pushes, moves between
// registers, loads and stores, lea, immediates, compares, inc and dec of memory, stack adjustment,
// direct calls and jumps. Anything else ends the search.
#include <algorithm>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>

#if defined(__x86_64__)
#include <cpuid.h>
#endif

#include "code.h"

namespace corewise::govern::code {
namespace {

constexpr std::size_t kJump = 5;
constexpr std::size_t kSearch = 48;
constexpr unsigned kRsp = 4;
// rdi, rsi, rdx, rcx, r8, r9: integer arguments in order.
constexpr std::array<std::uint8_t, 6> kArguments = {7, 6, 2, 1, 8, 9};
// Callee-saved: rbx, rbp, r12 to r15.
constexpr std::uint32_t kPreserved = 1U << 3 | 1U << 5 | 0xF000U;

constexpr std::string_view kVectorOpcodes = "\x10\x11\x28\x29\x6E\x6F\x7E\x7F\xD6\x57\xEF";

enum class Effect {
  none,        // nothing to undo
  push,        // of `reg`
  sets,        // writes `reg` and nothing else
  lowers_rsp,  // by `amount`
  final        // may be replaced itself, but not run before the jump: it writes memory or a vector
};

struct Instruction {
  std::size_t length = 0;
  Effect effect = Effect::final;
  unsigned reg = 0;
  std::int32_t amount = 0;
  std::size_t distance_at = 0;  // of the 32-bit distance of an address relative to rip; 0: none
};

std::int32_t read32(std::span<const std::uint8_t> bytes, std::size_t at) {
  std::int32_t value = 0;
  std::memcpy(&value, bytes.data() + at, sizeof value);
  return value;
}

// The operands that the byte after the opcode describes: a register, and a register or memory.
struct Operands {
  std::size_t length = 0;
  bool memory = false;
  unsigned reg = 0;
  unsigned rm = 0;
  std::size_t distance_at = 0;
};

std::optional<Operands> operands(std::span<const std::uint8_t> bytes, std::size_t at,
                                 unsigned rex) {
  if (at >= bytes.size()) return std::nullopt;
  const unsigned mod = bytes[at] >> 6U;
  const unsigned low = bytes[at] & 7U;
  Operands out;
  out.length = 1;
  out.memory = mod != 3;
  out.reg = ((bytes[at] >> 3U) & 7U) | ((rex & 4U) << 1U);
  out.rm = low | ((rex & 1U) << 3U);
  bool wide = mod == 2;
  if (out.memory && low == 4) {
    if (at + 1 >= bytes.size()) return std::nullopt;
    out.length = 2;
    wide = wide || (mod == 0 && (bytes[at + 1] & 7U) == 5);
  } else if (mod == 0 && low == 5) {
    wide = true;
    out.distance_at = at + 1;
  }
  out.length += wide ? 4 : mod == 1 ? 1 : 0;
  return out;
}

// One-byte opcodes; `at` is just past the opcode.
std::optional<Instruction> decode_plain(std::span<const std::uint8_t> bytes, std::size_t at,
                                        unsigned opcode, unsigned rex) {
  Instruction out;
  if (opcode == 0xE8 || opcode == 0xE9) {
    // call and jmp: the target is a distance as any other. A call of what follows asks where it is.
    if (at + 4 > bytes.size() || read32(bytes, at) == 0) return std::nullopt;
    out.distance_at = at;
    out.length = at + 4;
    return out;
  }
  if (opcode >= 0x50 && opcode <= 0x57) {
    out.effect = Effect::push;
    out.reg = (opcode & 7U) | ((rex & 1U) << 3U);
    out.length = at;
    return out;
  }
  if (opcode >= 0xB8 && opcode <= 0xBF) {
    out.effect = Effect::sets;
    out.reg = (opcode & 7U) | ((rex & 1U) << 3U);
    out.length = at + ((rex & 8U) != 0 ? 8 : 4);
    return out;
  }
  const auto rm = operands(bytes, at, rex);
  if (!rm) return std::nullopt;
  out.length = at + rm->length;
  out.distance_at = rm->distance_at;
  switch (opcode) {
    case 0x8D:  // lea
    case 0x8B:  // mov to a register
    case 0x63:  // the same, extending its sign
      if (opcode == 0x8D && !rm->memory) return std::nullopt;
      out.effect = Effect::sets;
      out.reg = rm->reg;
      return out;
    case 0x89:  // mov from a register
    case 0x31:  // xor
      out.effect = rm->memory ? Effect::final : Effect::sets;
      out.reg = rm->rm;
      return out;
    case 0x33:
      out.effect = Effect::sets;
      out.reg = rm->reg;
      return out;
    case 0x38:  // cmp and test: flags only
    case 0x39:
    case 0x3A:
    case 0x3B:
    case 0x84:
    case 0x85:
      out.effect = Effect::none;
      return out;
    case 0x80:  // cmp with an immediate, byte or word
    case 0x83:
    case 0x81: {
      out.length += opcode == 0x81 ? 4 : 1;
      const unsigned operation = rm->reg & 7U;
      if (out.length > bytes.size()) return std::nullopt;
      if (operation == 7) {
        out.effect = Effect::none;
      } else if (operation == 5 && !rm->memory && rm->rm == kRsp && opcode != 0x80 && rex == 0x48) {
        out.effect = Effect::lowers_rsp;
        out.amount = opcode == 0x83 ? static_cast<std::int8_t>(bytes[out.length - 1])
                                    : read32(bytes, out.length - 4);
      } else {
        return std::nullopt;
      }
      return out;
    }
    case 0xC6:  // mov of an immediate
    case 0xC7:
      if ((rm->reg & 7U) != 0) return std::nullopt;
      out.length += opcode == 0xC7 ? 4 : 1;
      out.effect = rm->memory ? Effect::final : Effect::sets;
      out.reg = rm->rm;
      return out;
    case 0xF6:  // test with an immediate
    case 0xF7:
      if ((rm->reg & 7U) != 0) return std::nullopt;
      out.length += opcode == 0xF7 ? 4 : 1;
      out.effect = Effect::none;
      return out;
    case 0xFF:  // inc and dec of memory
      return rm->memory && (rm->reg & 7U) <= 1 ? std::optional(out) : std::nullopt;
    default:
      return std::nullopt;
  }
}

// Opcodes after 0F; `prefix` is 66, F3 or none.
std::optional<Instruction> decode_extended(std::span<const std::uint8_t> bytes, std::size_t at,
                                           unsigned prefix, unsigned rex) {
  if (at + 1 >= bytes.size()) return std::nullopt;
  const unsigned opcode = bytes[at];
  if (prefix == 0xF3 && opcode == 0x1E && bytes[at + 1] == 0xFA) {
    return Instruction{at + 2, Effect::none, 0, 0, 0};  // endbr64
  }
  const auto rm = operands(bytes, at + 1, rex);
  if (!rm) return std::nullopt;
  Instruction out;
  out.length = at + 1 + rm->length;
  out.distance_at = rm->distance_at;
  switch (opcode) {
    case 0x1F:  // nop
      out.effect = Effect::none;
      return out;
    case 0xB6:  // mov of a part of a word, extended
    case 0xB7:
    case 0xBE:
    case 0xBF:
      out.effect = Effect::sets;
      out.reg = rm->reg;
      return out;
    default:
      // Moves of vectors, and xorps and pxor, which set them to zero.
      return kVectorOpcodes.find(static_cast<char>(opcode)) != kVectorOpcodes.npos
                 ? std::optional(out)
                 : std::nullopt;
  }
}

std::optional<Instruction> decode(std::span<const std::uint8_t> bytes) {
  std::size_t at = 0;
  unsigned prefix = 0;
  unsigned rex = 0;
  for (; at < bytes.size(); ++at) {
    // 64 selects the segment of thread-local data: stack protectors read their canary there.
    if (bytes[at] == 0x66 || bytes[at] == 0xF3) {
      prefix = bytes[at];
    } else if (bytes[at] != 0x64) {
      break;
    }
  }
  if (at < bytes.size() && (bytes[at] & 0xF0U) == 0x40) rex = bytes[at++];
  if (at + 1 > bytes.size()) return std::nullopt;
  const unsigned opcode = bytes[at++];
  // 66 would change the size of immediates; with these opcodes it hardly ever occurs.
  const auto out = opcode == 0x0F ? decode_extended(bytes, at, prefix, rex)
                   : prefix == 0  ? decode_plain(bytes, at, opcode, rex)
                                  : std::nullopt;
  if (!out || out->length > bytes.size()) return std::nullopt;
  return out;
}

// Whether some jump in the function may lead to one of `targets`: then we do not know what ran
// before. Takes every byte for the start of a jump, so that none is missed; a chance hit costs a
// candidate.
bool is_jumped_to(std::span<const std::uint8_t> bytes, const std::vector<std::size_t>& targets) {
  const auto hits = [&](std::size_t end, std::int64_t distance) {
    const auto goal = static_cast<std::size_t>(static_cast<std::int64_t>(end) + distance);
    return std::find(targets.begin(), targets.end(), goal) != targets.end();
  };
  for (std::size_t i = 0; i + 2 <= bytes.size(); ++i) {
    const unsigned opcode = bytes[i];
    const bool near = opcode == 0xEB || (opcode & 0xF0U) == 0x70;
    if (near && hits(i + 2, static_cast<std::int8_t>(bytes[i + 1]))) return true;
    const bool far = i + 5 <= bytes.size() && (opcode == 0xE9 || (opcode & 0xF0U) == 0x80);
    if (far && hits(i + 5, read32(bytes, i + 1))) return true;
  }
  return false;
}

std::size_t word_for(std::uintptr_t at) {
  return at % 8 + kJump <= 8 ? 8 : at % 16 + kJump <= 16 ? 16 : 0;
}

std::uint8_t low_byte(unsigned value) { return static_cast<std::uint8_t>(value & 0xFFU); }

void append_jump_anywhere(CodeBytes& out, std::uintptr_t to) {
  append(out, {0xFF, 0x25, 0, 0, 0, 0});
  append(out, static_cast<std::uint64_t>(to));
}

// The state that the instructions seen so far have left, and how to undo it.
class Taken {
 public:
  explicit Taken(int arguments) : untouchable_(1U << kRsp | kPreserved) {
    for (int i = 0; i < arguments; ++i) {
      untouchable_ |= 1U << kArguments[static_cast<std::size_t>(i)];
    }
  }

  // False if this one cannot be undone.
  bool add(const Instruction& step) {
    switch (step.effect) {
      case Effect::none:
        return true;
      case Effect::push: {
        CodeBytes pop;
        if (step.reg >= 8) append(pop, {0x41});
        append(pop, {low_byte(0x58U + (step.reg & 7U))});
        undo_.insert(undo_.begin(), pop.begin(), pop.end());
        // A pop restores the register, so from here on it may be overwritten.
        if (step.reg != kRsp) untouchable_ &= ~(1U << step.reg);
        return true;
      }
      case Effect::lowers_rsp: {
        CodeBytes add;
        append(add, {0x48, 0x81, 0xC4});
        append(add, step.amount);
        undo_.insert(undo_.begin(), add.begin(), add.end());
        return true;
      }
      case Effect::sets:
        return (untouchable_ & 1U << step.reg) == 0;
      case Effect::final:
        return false;
    }
    return false;
  }

  const CodeBytes& undo() const { return undo_; }

 private:
  std::uint32_t untouchable_;
  CodeBytes undo_;
};

std::string at_offset(std::size_t offset) { return " at byte " + std::to_string(offset); }

Result<JumpSite> find_site(const Function& function) {
  Taken taken(std::clamp(function.arguments, 0, 6));
  const auto& bytes = function.bytes;
  std::vector<std::size_t> targets;
  for (std::size_t offset = 0; offset < std::min(bytes.size(), kSearch);) {
    const auto step = decode(bytes.subspan(offset));
    if (!step) {
      return Error{CW_NOT_AVAILABLE,
                   "unknown instruction" + at_offset(offset) + " of the function"};
    }
    // A jump to the entry itself is a call of the function, unless our jump stands there.
    if (offset != 0 || step->length >= kJump) targets.push_back(offset);
    const std::size_t width = word_for(function.address + offset);
    if (step->length >= kJump && width != 0 && !is_jumped_to(bytes, targets)) {
      return JumpSite{offset, step->length, width, taken.undo()};
    }
    if (!taken.add(*step)) {
      return Error{CW_NOT_AVAILABLE, "no instruction long enough for a jump before the one" +
                                         at_offset(offset) + ", which cannot be taken back"};
    }
    offset += step->length;
  }
  return Error{CW_NOT_AVAILABLE, "no instruction long enough for a jump at the start"};
}

Result<CodeBytes> resume(const Function& function, const JumpSite& site, std::uintptr_t at) {
  CodeBytes out(function.bytes.begin(),
                function.bytes.begin() + static_cast<std::ptrdiff_t>(site.offset + site.length));
  for (std::size_t offset = 0; offset < out.size();) {
    const auto step = decode(std::span(out).subspan(offset));
    if (!step) return Error{CW_INTERNAL, "the function changed while it was read"};
    if (step->distance_at != 0) {
      const std::size_t field = offset + step->distance_at;
      const std::int64_t distance = static_cast<std::int64_t>(read32(out, field)) +
                                    static_cast<std::int64_t>(function.address) -
                                    static_cast<std::int64_t>(at);
      const auto narrow = static_cast<std::int32_t>(distance);
      if (narrow != distance) return Error{CW_NOT_AVAILABLE, "its data are too far away"};
      std::memcpy(out.data() + field, &narrow, sizeof narrow);
    }
    offset += step->length;
  }
  append_jump_anywhere(out, function.address + site.offset + site.length);
  return out;
}

Result<CodeBytes> enter(const CodeBytes& undo, int argument, const void* context,
                        const void* target) {
  if (argument >= static_cast<int>(kArguments.size())) {
    return Error{CW_NOT_AVAILABLE, "no register is left for a further argument"};
  }
  CodeBytes out = undo;
  if (argument >= 0) {
    const unsigned reg = kArguments[static_cast<std::size_t>(argument)];
    append(out, {low_byte(0x48U | reg >> 3U), low_byte(0xB8U | (reg & 7U))});
    append(out, reinterpret_cast<std::uint64_t>(context));
  }
  append_jump_anywhere(out, reinterpret_cast<std::uintptr_t>(target));
  return out;
}

CodeBytes jump(std::uintptr_t from, std::uintptr_t to) {
  CodeBytes out = {0xE9};
  append(out, static_cast<std::int32_t>(static_cast<std::int64_t>(to) -
                                        static_cast<std::int64_t>(from + kJump)));
  return out;
}

bool ends_in_call(std::span<const std::uint8_t> bytes) noexcept {
  if (bytes.size() >= kJump && bytes[bytes.size() - kJump] == 0xE8) return true;
  for (std::size_t length = 2; length <= std::min<std::size_t>(bytes.size(), 7); ++length) {
    const auto last = bytes.last(length);
    const auto goal = last[0] == 0xFF ? operands(last, 1, 0) : std::nullopt;
    if (goal && goal->reg == 2 && goal->length == length - 1) return true;
  }
  return false;
}

#if defined(__x86_64__)
bool exchange16(std::uintptr_t at, const CodeWord& expected, const CodeWord& desired) {
  unsigned a = 0;
  unsigned b = 0;
  unsigned c = 0;
  unsigned d = 0;
  // Only the first x86-64 processors lack it.
  if (__get_cpuid(1, &a, &b, &c, &d) == 0 || (c & bit_CMPXCHG16B) == 0) return false;
  std::uint64_t old_low = 0;
  std::uint64_t old_high = 0;
  std::uint64_t new_low = 0;
  std::uint64_t new_high = 0;
  std::memcpy(&old_low, expected.bytes.data(), 8);
  std::memcpy(&old_high, expected.bytes.data() + 8, 8);
  std::memcpy(&new_low, desired.bytes.data(), 8);
  std::memcpy(&new_high, desired.bytes.data() + 8, 8);
  bool done = false;
  __asm__ __volatile__("lock cmpxchg16b (%[at])"
                       : "=@ccz"(done), "+a"(old_low), "+d"(old_high)
                       : "b"(new_low), "c"(new_high), [at] "r"(at)
                       : "memory");
  return done;
}
constexpr auto kExchange16 = &exchange16;
#else
constexpr bool (*kExchange16)(std::uintptr_t, const CodeWord&, const CodeWord&) = nullptr;
#endif

}  // namespace

// A distance of 32 bits, less room for a page and a large function.
const Architecture kX86_64 = {
    "x86-64",     (std::uintptr_t{1} << 31U) - (std::uintptr_t{64} << 20U),
    find_site,    resume,
    enter,        jump,
    ends_in_call, kExchange16};

}  // namespace corewise::govern::code
