// The decoders, on functions recorded from real libraries (record.py), and on bytes made to fool
// them. Runs the same on every machine.
#include "govern/patch/code.h"

#include <doctest/doctest.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>
#include <string>

using corewise::govern::code::Architecture;
using corewise::govern::code::CodeBytes;
using corewise::govern::code::Function;
using corewise::govern::code::JumpSite;
using corewise::govern::code::kAarch64;
using corewise::govern::code::kX86_64;

namespace {

struct Recorded {
  std::uintptr_t address = 0;
  CodeBytes bytes;
};

Recorded recorded(const std::string& name) {
  std::ifstream file(std::string(COREWISE_FIXTURES) + "/" + name + ".hex");
  Recorded out;
  file >> std::hex >> out.address;
  unsigned value = 0;
  while (file >> value) out.bytes.push_back(static_cast<std::uint8_t>(value));
  return out;
}

const Architecture& machine_of(const std::string& name) {
  return name.starts_with("x86_64") ? kX86_64 : kAarch64;
}

Function function_at(std::uintptr_t address, const CodeBytes& bytes, int arguments) {
  return {address, bytes, arguments};
}

std::string hex(const CodeBytes& bytes) {
  std::ostringstream out;
  for (const std::uint8_t byte : bytes) {
    out << "0123456789abcdef"[byte >> 4] << "0123456789abcdef"[byte & 15];
  }
  return out.str();
}

std::int32_t read32(const CodeBytes& bytes, std::size_t at) {
  std::int32_t value = 0;
  std::memcpy(&value, bytes.data() + at, sizeof value);
  return value;
}

std::string refusal(const CodeBytes& bytes, int arguments = 1,
                    const Architecture& machine = kX86_64) {
  const auto site = machine.find_site(function_at(0x1000, bytes, arguments));
  return site ? "" : site.error().what;
}

struct Expected {
  std::size_t offset, length, width;
  const char* undo;
};

}  // namespace

TEST_CASE("every recorded build of OpenBLAS can be hooked, where a person would do it") {
  const std::map<std::string, Expected> expected = {
      {"x86_64-numpy-2.4.6-blas_memory_alloc", {8, 7, 8, "5b415c415e415f5d"}},
      {"x86_64-numpy-2.4.6-blas_memory_free", {4, 7, 16, "5b"}},
      {"x86_64-scipy-1.17.1-blas_memory_alloc", {2, 7, 8, "415f"}},
      {"x86_64-scipy-1.17.1-blas_memory_free", {5, 7, 16, "415c"}},
      {"x86_64-numpy-2.5.5-blas_memory_alloc", {2, 7, 8, "415f"}},
      {"x86_64-numpy-2.5.5-blas_memory_free", {5, 7, 16, "5b5d"}},
      {"x86_64-scipy-1.18.1-blas_memory_alloc", {8, 7, 8, "5b415c415e415f5d"}},
      {"x86_64-scipy-1.18.1-blas_memory_free", {4, 7, 16, "5b"}},
      {"x86_64-debian-0.3.21-openmp-blas_memory_alloc", {2, 7, 8, "415f"}},
      {"x86_64-debian-0.3.21-openmp-blas_memory_free", {2, 7, 8, ""}},
      {"x86_64-debian-0.3.21-pthread-blas_memory_alloc", {2, 7, 8, "415f"}},
      {"x86_64-debian-0.3.21-pthread-blas_memory_free", {1, 7, 8, "5d"}},
      {"x86_64-debian-0.3.21-serial-blas_memory_alloc", {2, 7, 8, "415e"}},
      {"x86_64-debian-0.3.21-serial-blas_memory_free", {2, 7, 8, ""}},
      {"aarch64-numpy-2.4.6-blas_memory_alloc", {0, 4, 8, ""}},
      {"aarch64-numpy-2.4.6-blas_memory_free", {0, 4, 8, ""}},
      {"aarch64-numpy-2.5.5-blas_memory_alloc", {0, 4, 8, ""}},
      {"aarch64-numpy-2.5.5-blas_memory_free", {0, 4, 8, ""}},
      {"aarch64-scipy-1.18.1-blas_memory_alloc", {0, 4, 8, ""}},
      {"aarch64-scipy-1.18.1-blas_memory_free", {0, 4, 8, ""}},
  };
  for (const auto& [name, want] : expected) {
    CAPTURE(name);
    const Recorded real = recorded(name);
    REQUIRE(real.bytes.size() > 64);
    const auto site = machine_of(name).find_site(function_at(real.address, real.bytes, 1));
    REQUIRE_MESSAGE(site, site.error().what);
    CHECK(site->offset == want.offset);
    CHECK(site->length == want.length);
    CHECK(site->width == want.width);
    CHECK(hex(site->undo) == want.undo);
    // The jump lies in one word, at any load address a loader may choose.
    const std::size_t jump = name.starts_with("x86_64") ? 5 : 4;
    CHECK((real.address + site->offset) % site->width + jump <= site->width);
  }
}

TEST_CASE("x86-64: the way into the original still finds its data") {
  const Recorded real = recorded("x86_64-numpy-2.4.6-blas_memory_alloc");
  const Function function = function_at(real.address, real.bytes, 1);
  const auto site = kX86_64.find_site(function);
  REQUIRE(site);
  const std::uintptr_t at = real.address + 0x1234560;
  const auto resume = kX86_64.resume(function, *site, at);
  REQUIRE(resume);
  // push rbp, r15, r14, r12, rbx; cmpl $0, memory_initialized; jmp *0(rip)
  CHECK(hex(CodeBytes(resume->begin(), resume->begin() + 10)) == "5541574156415453833d");
  const std::uintptr_t data = real.address + 15 + static_cast<std::uintptr_t>(0xfebd09);
  CHECK(at + 15 + static_cast<std::uintptr_t>(static_cast<std::int64_t>(read32(*resume, 10))) ==
        data);
  CHECK((*resume)[14] == 0);
  CHECK(hex(CodeBytes(resume->begin() + 15, resume->begin() + 21)) == "ff2500000000");
  std::uint64_t back = 0;
  std::memcpy(&back, resume->data() + 21, 8);
  CHECK(back == real.address + 15);
  CHECK_FALSE(kX86_64.resume(function, *site, real.address + (std::uintptr_t{3} << 31U)));
}

TEST_CASE("x86-64: the code jumped to takes back, passes the context, and goes") {
  const auto code = kX86_64.enter({0x5B}, 1, reinterpret_cast<void*>(0x1122334455667788),
                                  reinterpret_cast<void*>(0x99));
  REQUIRE(code);
  CHECK(hex(*code) == "5b48be8877665544332211ff25000000009900000000000000");
  const auto fifth = kX86_64.enter({}, 4, nullptr, nullptr);
  REQUIRE(fifth);
  CHECK(hex(*fifth).starts_with("49b8"));  // r8
  CHECK_FALSE(kX86_64.enter({}, 6, nullptr, nullptr));
  CHECK(hex(kX86_64.jump(0x1000, 0x2000)) == "e9fb0f0000");
  CHECK(hex(kX86_64.jump(0x2000, 0x1000)) == "e9fbefffff");
}

TEST_CASE("x86-64: other runtimes' functions, hooked or refused with a reason") {
  for (const char* name :
       {"x86_64-libgomp-12-GOMP_parallel", "x86_64-libgomp-12-omp_get_max_threads",
        "x86_64-libgomp-sklearn-GOMP_parallel", "x86_64-libgomp-sklearn-GOMP_parallel_loop_dynamic",
        "x86_64-libomp-14-GOMP_parallel", "x86_64-libomp-14-__kmpc_fork_call"}) {
    CAPTURE(name);
    const Recorded real = recorded(name);
    REQUIRE_FALSE(real.bytes.empty());
    const auto site = kX86_64.find_site(function_at(real.address, real.bytes, 4));
    if (site) {
      CHECK(site->length >= 5);
    } else {
      CHECK_FALSE(site.error().what.empty());
    }
  }
}

TEST_CASE("x86-64: what cannot be done safely is refused") {
  CodeBytes lea = {0x48, 0x8D, 0x05, 0, 1, 0, 0};  // lea 0x100(%rip), %rax
  SUBCASE("a jump back to the instruction") {
    CodeBytes loop = lea;
    loop.insert(loop.end(), {0xEB, 0xF7});  // jmp to the lea
    CHECK(refusal(loop) != "");
    CodeBytes behind = {0x53};  // push %rbx; the loop comes back behind the push
    behind.insert(behind.end(), loop.begin(), loop.end());
    CHECK(refusal(behind) != "");
    CodeBytes far = lea;
    far.insert(far.end(), {0x0F, 0x85, 0xF3, 0xFF, 0xFF, 0xFF});  // jne
    CHECK(refusal(far) != "");
  }
  SUBCASE("a jump back between the entry and the instruction") {
    CHECK(refusal({0x53, 0x31, 0xC0, 0x48, 0x8D, 0x05, 0, 1, 0, 0, 0xEB, 0xF5}) != "");
  }
  SUBCASE("a jump back to the entry itself is a call") {
    CHECK(refusal({0x53, 0x31, 0xC0, 0x48, 0x8D, 0x05, 0, 1, 0, 0, 0xEB, 0xF4}) == "");
  }
  SUBCASE("an argument overwritten before") {
    // mov %rax, %rdi: lost for one argument, none of our business for a function without
    CodeBytes code = {0x48, 0x89, 0xC7};
    code.insert(code.end(), lea.begin(), lea.end());
    code.resize(24, 0x90);
    CHECK(refusal(code, 1) != "");
    CHECK(refusal(code, 0) == "");
  }
  SUBCASE("a preserved register overwritten before it was pushed") {
    CHECK(refusal({0x48, 0x89, 0xFB, 0x48, 0x8D, 0x05, 0, 1, 0, 0}) != "");
    CHECK(refusal({0x53, 0x48, 0x89, 0xFB, 0x48, 0x8D, 0x05, 0, 1, 0, 0}) == "");
  }
  SUBCASE("memory written before") {
    CHECK(refusal({0x48, 0x89, 0x3C, 0x24, 0x48, 0x8D, 0x05, 0, 1, 0, 0}) != "");
  }
  SUBCASE("a count in memory") {
    CHECK(refusal({0xFF, 0x05, 0, 1, 0, 0}) == "");              // incl 0x100(%rip)
    CHECK(refusal({0x48, 0xFF, 0x8F, 0, 1, 0, 0}) == "");        // decq 0x100(%rdi)
    CHECK(refusal({0xFF, 0x07, 0xFF, 0x05, 0, 1, 0, 0}) != "");  // incl (%rdi), before
    CHECK(refusal({0xFF, 0xC0, 0xFF, 0x05, 0, 1, 0, 0}) != "");  // inc %eax: not known
    CHECK(refusal({0xFF, 0x15, 0, 1, 0, 0}) != "");              // call *0x100(%rip)
  }
  SUBCASE("a call of another function, or a jump to it") {
    CHECK(refusal({0xE8, 0, 1, 0, 0}) == "");
    CHECK(refusal({0xE9, 0, 1, 0, 0}) == "");
    const CodeBytes code = {0xE8, 0, 1, 0, 0};
    const auto function = function_at(0x1000, code, 0);
    const auto site = kX86_64.find_site(function);
    REQUIRE(site);
    const auto resumed = kX86_64.resume(function, *site, 0x1040);
    REQUIRE(resumed);
    // The goal, 0x1105, as seen from 0x1045.
    CHECK(CodeBytes(resumed->begin(), resumed->begin() + 5) == CodeBytes{0xE8, 0xC0, 0, 0, 0});
  }
  SUBCASE("calls and jumps to what follows, returns, and what is not known") {
    CHECK(refusal({0xE8, 0, 0, 0, 0}) != "");
    CHECK(refusal({0xE9, 0, 0, 0, 0}) != "");
    CHECK(refusal({0xC3, 0x90, 0x90, 0x90, 0x90}) != "");
    CHECK(refusal({0xC5, 0xF8, 0x77, 0x90, 0x90, 0x90}) != "");
    CHECK(refusal({0x48, 0x83, 0xE4, 0xE0, 0x90, 0x90}) != "");  // and $-32, %rsp
  }
  SUBCASE("cut short") {
    for (std::size_t n = 0; n < lea.size(); ++n) {
      CHECK(refusal(CodeBytes(lea.begin(), lea.begin() + static_cast<std::ptrdiff_t>(n))) != "");
    }
    CHECK(refusal(lea) == "");
  }
  SUBCASE("a landing pad stays") {
    const CodeBytes code = {0xF3, 0x0F, 0x1E, 0xFA, 0x48, 0x81, 0xEC, 0, 1, 0, 0};
    const auto site = kX86_64.find_site(function_at(0x1000, code, 1));
    REQUIRE(site);
    CHECK(site->offset == 4);
    CHECK(site->width == 16);
    CHECK_FALSE(kX86_64.find_site(function_at(0x100A, code, 1)));  // astride two words of sixteen
  }
}

TEST_CASE("x86-64: no bytes make the decoder read past them or accept a torn word") {
  std::uint32_t seed = 1;
  for (int round = 0; round < 200000; ++round) {
    CodeBytes bytes;
    for (int i = 0; i < 24; ++i) {
      seed = seed * 1664525U + 1013904223U;
      bytes.push_back(static_cast<std::uint8_t>(seed >> 24U));
    }
    bytes[0] = round % 2 == 0 ? 0x48 : bytes[0];
    const std::uintptr_t address = 0x400000 + static_cast<std::uintptr_t>(round % 16);
    const Function function = function_at(address, bytes, round % 7);
    for (const Architecture* machine : {&kX86_64, &kAarch64}) {
      if (machine == &kAarch64 && address % 4 != 0) continue;
      const auto site = machine->find_site(function);
      if (!site) continue;
      CHECK(site->offset + site->length <= bytes.size());
      CHECK((address + site->offset) % site->width + machine->jump(0, 0).size() <= site->width);
      const auto resume = machine->resume(function, *site, address + 0x1000);
      CHECK(resume);
    }
  }
}

TEST_CASE("what stands before a return address is a call") {
  const auto words = [](const std::string& digits) {
    CodeBytes out;
    for (std::size_t i = 0; i < digits.size(); i += 2) {
      out.push_back(static_cast<std::uint8_t>(std::stoul(digits.substr(i, 2), nullptr, 16)));
    }
    return out;
  };
  // As GNU as writes them: to a distance, through a register, and through memory in all its forms.
  for (const char* call :
       {"e800000000", "ffd0", "41ffd4", "ff10", "ff1424", "ff14c510000000", "ff1510000000",
        "ff5008", "ff542408", "ff9000010000", "ff942400010000", "9090ffd0", "90e8ffffffff"}) {
    CAPTURE(call);
    CHECK(kX86_64.ends_in_call(words(call)));
  }
  // jmp, jmp through memory, push, a call that is not at the end, ret, half a call, nothing.
  for (const char* other : {"e900000000", "ffe0", "ff2510000000", "ff7008", "ffd090",
                            "e80000000090", "c3", "d0", "0000", ""}) {
    CAPTURE(other);
    CHECK_FALSE(kX86_64.ends_in_call(words(other)));
  }
  for (const char* call :
       {"00000094", "ffffff97", "00003fd6", "c0033fd6", "1f093fd6", "01093fd7"}) {
    CAPTURE(call);  // bl, bl back, blr x0, blr x30, blraaz x8, blraa x8, x1
    CHECK(kAarch64.ends_in_call(words(call)));
  }
  for (const char* other : {"00000014", "00001fd6", "c0035fd6", "1f2003d5", "000094", ""}) {
    CAPTURE(other);  // b, br x0, ret, nop, three bytes, nothing
    CHECK_FALSE(kAarch64.ends_in_call(words(other)));
  }
}

TEST_CASE("aarch64: the code on both sides of the branch") {
  const Recorded real = recorded("aarch64-numpy-2.5.5-blas_memory_free");
  const Function function = function_at(real.address, real.bytes, 1);
  const auto site = kAarch64.find_site(function);
  REQUIRE(site);
  const auto resume = kAarch64.resume(function, *site, real.address + 0x10000);
  REQUIRE(resume);
  REQUIRE(resume->size() == 8);
  CHECK(read32(*resume, 0) == static_cast<std::int32_t>(0xa9be7bfd));  // stp x29, x30, [sp, #-32]!
  CHECK(read32(*resume, 4) == static_cast<std::int32_t>(0x17ffc000));  // b entry + 4
  CHECK(hex(kAarch64.jump(0x1000, 0x2000)) == "00040014");

  const auto enter = kAarch64.enter({}, 1, reinterpret_cast<void*>(0x1122334455667788),
                                    reinterpret_cast<void*>(0x99));
  REQUIRE(enter);
  // ldr x1, 24; ldr x16, 16; br x16; padding; target; context
  CHECK(hex(*enter) ==
        "c100005870000058"
        "00021fd600000000"
        "9900000000000000"
        "8877665544332211");
}

TEST_CASE("aarch64: landing pads and signed return addresses stay before the branch") {
  const auto words = [](std::initializer_list<std::uint32_t> list) {
    CodeBytes out;
    for (const std::uint32_t word : list) {
      for (unsigned i = 0; i < 4; ++i) out.push_back(static_cast<std::uint8_t>(word >> 8 * i));
    }
    return out;
  };
  const CodeBytes code = words({0xD503245F, 0xD503233F, 0xA9BE7BFD, 0xD65F03C0});
  const auto site = kAarch64.find_site(function_at(0x1000, code, 1));
  REQUIRE(site);
  CHECK(site->offset == 8);
  CHECK(hex(site->undo) == "bf2303d5");  // autiasp
  // adrp x0, +1 page: the page of the function, not of where it runs now
  const CodeBytes page = words({0xB0000000, 0xD65F03C0});
  const auto moved = kAarch64.find_site(function_at(0x5000, page, 1));
  REQUIRE(moved);
  const auto resume = kAarch64.resume(function_at(0x5000, page, 1), *moved, 0x90000);
  REQUIRE(resume);
  CHECK(hex(*resume).starts_with("40000058"));  // ldr x0, 8
  CHECK(hex(*resume).ends_with("0060000000000000"));
  CHECK(refusal(words({0xD65F03C0}), 1, kAarch64) != "");              // ret
  CHECK(refusal(words({0xA9BE7BFD, 0x17FFFFFF}), 1, kAarch64) != "");  // a loop to the start
  CHECK(refusal(words({0x58000040}), 1, kAarch64) != "");              // ldr from beside itself
}
