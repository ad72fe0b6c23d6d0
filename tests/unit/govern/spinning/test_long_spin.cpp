#include <doctest/doctest.h>

#include <array>
#include <cstdint>
#include <thread>
#include <vector>

#include "govern/spinning/long_spin.h"

namespace govern = corewise::govern;
namespace long_spin = corewise::govern::long_spin;

namespace {

constexpr std::uint32_t kBrief = 100;
constexpr std::uint32_t kLongSpin = 1000;

corewise::SpinWord word_in(std::uint32_t& memory, std::uint64_t long_spin = kLongSpin) {
  return {reinterpret_cast<std::uintptr_t>(&memory), 4, kBrief, long_spin};
}

}  // namespace

TEST_CASE("long spin: one at a time, and none after") {
  std::array<std::uint32_t, 3> memory = {kBrief, kBrief, kBrief};
  const std::array words = {word_in(memory[0]), word_in(memory[1]), word_in(memory[2], 0)};
  long_spin::allow(words[0]);
  long_spin::allow(words[0]);
  CHECK(memory == std::array<std::uint32_t, 3>{kLongSpin, kBrief, kBrief});
  long_spin::allow(words[1]);
  CHECK(memory == std::array<std::uint32_t, 3>{kBrief, kLongSpin, kBrief});
  long_spin::allow(words[2]);
  CHECK(memory == std::array<std::uint32_t, 3>{kBrief, kBrief, kBrief});
  long_spin::allow(words[0]);
  long_spin::end();
  long_spin::end();
  CHECK(memory == std::array<std::uint32_t, 3>{kBrief, kBrief, kBrief});
}

TEST_CASE("long spin: what somebody else has set stays") {
  std::array<std::uint32_t, 2> memory = {7, kBrief};
  const std::array words = {word_in(memory[0]), word_in(memory[1])};
  long_spin::allow(words[0]);
  CHECK(memory[0] == 7);
  long_spin::allow(words[1]);
  memory[1] = 8;
  long_spin::end();
  CHECK(memory == std::array<std::uint32_t, 2>{7, 8});
}

TEST_CASE("long spin: allowed by many threads, none is left with it") {
  std::array<std::uint32_t, 4> memory{};
  memory.fill(kBrief);
  std::array<corewise::SpinWord, 4> words;
  for (std::size_t i = 0; i < words.size(); ++i) words[i] = word_in(memory[i]);
  for (int round = 0; round < 200; ++round) {
    std::vector<std::thread> takers;
    for (std::size_t i = 0; i < words.size(); ++i) {
      takers.emplace_back([&, i] {
        for (int n = 0; n < 50; ++n) {
          long_spin::allow(words[i]);
          if (n % 7 == 0) long_spin::end();
        }
      });
    }
    for (std::thread& taker : takers) taker.join();
    long_spin::end();
    for (const std::uint32_t each : memory) REQUIRE(each == kBrief);
  }
}
