#include <doctest/doctest.h>

#include <cstdint>
#include <vector>

#include "pools/entry.h"
#include "pools/first_use.h"

using namespace corewise;

namespace {

constexpr std::uintptr_t kCode = 0x10000;
const auto kData = [](std::uintptr_t at) { return at >= 0x20000 && at < 0x30000; };

std::uintptr_t x86(const std::vector<std::uint8_t>& code) {
  return first_word_x86_64(code, kCode, kData).value_or(0);
}

std::uintptr_t arm(const std::vector<std::uint32_t>& words) {
  std::vector<std::uint8_t> code;
  for (const std::uint32_t word : words) {
    for (unsigned shift = 0; shift < 32; shift += 8) {
      code.push_back(static_cast<std::uint8_t>(word >> shift));
    }
  }
  return first_word_aarch64(code, kCode, kData).value_or(0);
}

}  // namespace

TEST_CASE("the word that a function of x86-64 tests first") {
  // push %rax; cmpl $0, 0x10000(%rip)
  CHECK(x86({0x50, 0x83, 0x3d, 0, 0, 1, 0, 0}) == kCode + 8 + 0x10000);
  CHECK(x86({0x80, 0x3d, 0, 0, 1, 0, 0}) == kCode + 7 + 0x10000);     // cmpb
  CHECK(x86({0x0f, 0xb6, 0x05, 0, 0, 1, 0}) == kCode + 7 + 0x10000);  // movzbl
  CHECK(x86({0x8b, 0x0d, 0, 0, 1, 0}) == kCode + 6 + 0x10000);        // mov, 32 bits
  CHECK(x86({0x48, 0x8d, 0x3d, 0, 0, 1, 0}) == kCode + 7 + 0x10000);  // lea
  CHECK(x86({0x48, 0x8b, 0x05, 0, 0, 1, 0}) == 0);                    // a pointer
  CHECK(x86({0xb8, 1, 0, 0, 0, 0xc3}) == 0);                          // a constant
  // What is no data is passed over: lea of code, then of the word.
  CHECK(x86({0x48, 0x8d, 0x35, 0, 0, 0, 0, 0x48, 0x8d, 0x3d, 0, 0, 1, 0}) == kCode + 14 + 0x10000);
  const std::vector<std::uint8_t> whole = {0x80, 0x3d, 0, 0, 1, 0, 0};
  for (std::size_t length = 0; length < whole.size(); ++length) {
    CHECK(x86({whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(length)}) == 0);
  }
}

TEST_CASE("the word that a function of aarch64 tests first") {
  constexpr std::uint32_t kAdrp = 0x90000088;                      // adrp x8, +16 pages
  CHECK(arm({0xa9bf7bfd, kAdrp, 0xb9430908}) == 0x20000 + 0x308);  // ldr w8, [x8, #0x308]
  CHECK(arm({kAdrp, 0x39430908}) == 0x20000 + 0xc2);               // ldrb w8, [x8, #0xc2]
  CHECK(arm({kAdrp, 0x91030900}) == 0x20000 + 0xc2);               // add x0, x8, #0xc2
  CHECK(arm({kAdrp, 0xf9430908}) == 0);                            // ldr x8: a pointer
  CHECK(arm({kAdrp, 0xb9430928}) == 0);                            // from another register
  CHECK(arm({0x52800020, 0xd65f03c0}) == 0);                       // a constant
  // What the register holds later is no page: a pointer from the GOT, a sum, what a call left.
  CHECK(arm({kAdrp, 0xf9430908, 0x39430908}) == 0);  // ldr x8, [x8, ...]; ldrb w8, [x8, ...]
  CHECK(arm({kAdrp, 0xa9402109, 0x39430908}) == 0);  // ldp x9, x8, [x8]
  CHECK(arm({kAdrp, 0x8b090108, 0x39430908}) == 0);  // add x8, x8, x9
  CHECK(arm({kAdrp, 0x94000000, 0x39430908}) == 0);  // bl
  // A jump writes none, and others write theirs.
  CHECK(arm({kAdrp, 0x54000048, 0x39430908}) == 0x20000 + 0xc2);  // b.hi
  CHECK(arm({kAdrp, 0xa9bf7bfd, 0x39430908}) == 0x20000 + 0xc2);  // stp x29, x30, [sp, #-16]!
}

TEST_CASE("a missing entry is not called") {
  const Entry<int(int)> none;
  const Entry<int(int)> twice = +[](int number) { return 2 * number; };
  CHECK_FALSE(none);
  CHECK(none(2) == std::nullopt);
  CHECK(twice(2) == 4);
  int calls = 0;
  const Entry<void(int&)> missing = nullptr;
  const Entry<void(int&)> counts = +[](int& number) { ++number; };
  CHECK_FALSE(missing(calls));
  CHECK(counts(calls));
  CHECK(calls == 1);
}
