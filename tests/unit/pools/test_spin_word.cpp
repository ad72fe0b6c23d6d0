// The two searches for words that no symbol names, on bytes made here.
#include <doctest/doctest.h>

#include <array>
#include <cstring>
#include <vector>

#include "pools/find_spin_word.h"

using namespace corewise;

namespace {

constexpr std::uintptr_t kCode = 0x1000;

// mov %eax, target(%rip), at the end of `code`.
void store_to(std::vector<std::byte>& code, std::uintptr_t target) {
  const std::uintptr_t next = kCode + code.size() + 6;
  const auto displacement = static_cast<std::int32_t>(target - next);
  code.push_back(std::byte{0x89});
  code.push_back(std::byte{0x05});
  std::array<std::byte, 4> bytes{};
  std::memcpy(bytes.data(), &displacement, bytes.size());
  code.insert(code.end(), bytes.begin(), bytes.end());
}

bool in_data(std::uint64_t address) { return address >= 0x9000 && address < 0xa000; }

}  // namespace

TEST_CASE("spin word: the only store to a plausible address") {
  std::vector<std::byte> code(5, std::byte{0x90});
  store_to(code, 0x5000);
  store_to(code, 0x9010);
  CHECK(stored_word(code, kCode, in_data) == 0x9010);
  store_to(code, 0x9010);
  CHECK(stored_word(code, kCode, in_data) == 0x9010);
  store_to(code, 0x9020);
  CHECK_FALSE(stored_word(code, kCode, in_data));
}

TEST_CASE("spin word: a store of 8 bytes or a cut one is none") {
  std::vector<std::byte> code = {std::byte{0x48}};
  store_to(code, 0x9010);
  CHECK_FALSE(stored_word(code, kCode, in_data));
  code.erase(code.begin());
  code.pop_back();
  CHECK_FALSE(stored_word(code, kCode, in_data));
}

TEST_CASE("spin word: a value that stands once beside its companion") {
  const auto companion = [](std::uint64_t value) { return value == 100; };
  std::vector<std::uint64_t> words = {300000, 0, 0, 0, 0, 0, 300000, 0, 100, 0};
  CHECK(valued_word(words, 0x4000, 300000, companion) == WordWithCompanion{0x4030, 0x4040});
  words[4] = 100;
  CHECK_FALSE(valued_word(words, 0x4000, 300000, companion));
  words[0] = 0;
  CHECK(valued_word(words, 0x4000, 300000, companion) == WordWithCompanion{0x4030, 0});
  words[0] = 300000;
  words[3] = 100;
  CHECK_FALSE(valued_word(words, 0x4000, 300000, companion));
  CHECK_FALSE(valued_word(words, 0x4000, 5, companion));
  CHECK_FALSE(valued_word({}, 0x4000, 300000, companion));
}

TEST_CASE("spin word: loads and stores only its own width") {
  alignas(8) std::array<std::uint32_t, 2> pair = {1U << 28U, 7};
  const SpinWord word{reinterpret_cast<std::uintptr_t>(pair.data()), 4, 1U << 16U};
  CHECK(word.load() == 1U << 28U);
  word.store(word.brief);
  CHECK(pair[0] == 1U << 16U);
  CHECK(pair[1] == 7);
}
