#include <doctest/doctest.h>

#include <array>
#include <cstdint>
#include <thread>
#include <vector>

#include "govern/spinning/spin_token.h"

namespace govern = corewise::govern;
namespace token = corewise::govern::spin_token;

namespace {

constexpr std::uint32_t kBrief = 100;
constexpr std::uint32_t kPatient = 1000;

corewise::SpinWord word_in(std::uint32_t& memory, std::uint64_t patient = kPatient) {
  return {reinterpret_cast<std::uintptr_t>(&memory), 4, kBrief, patient};
}

}  // namespace

TEST_CASE("spin token: one at a time, and none after") {
  std::array<std::uint32_t, 3> memory = {kBrief, kBrief, kBrief};
  const std::array words = {word_in(memory[0]), word_in(memory[1]), word_in(memory[2], 0)};
  token::take(words[0]);
  token::take(words[0]);
  CHECK(memory == std::array<std::uint32_t, 3>{kPatient, kBrief, kBrief});
  token::take(words[1]);
  CHECK(memory == std::array<std::uint32_t, 3>{kBrief, kPatient, kBrief});
  token::take(words[2]);
  CHECK(memory == std::array<std::uint32_t, 3>{kBrief, kBrief, kBrief});
  token::take(words[0]);
  token::give_up();
  token::give_up();
  CHECK(memory == std::array<std::uint32_t, 3>{kBrief, kBrief, kBrief});
}

TEST_CASE("spin token: what somebody else has set stays") {
  std::array<std::uint32_t, 2> memory = {7, kBrief};
  const std::array words = {word_in(memory[0]), word_in(memory[1])};
  token::take(words[0]);
  CHECK(memory[0] == 7);
  token::take(words[1]);
  memory[1] = 8;
  token::give_up();
  CHECK(memory == std::array<std::uint32_t, 2>{7, 8});
}

TEST_CASE("spin token: taken by many threads, none is left with it") {
  std::array<std::uint32_t, 4> memory{};
  memory.fill(kBrief);
  std::array<corewise::SpinWord, 4> words;
  for (std::size_t i = 0; i < words.size(); ++i) words[i] = word_in(memory[i]);
  for (int round = 0; round < 200; ++round) {
    std::vector<std::thread> takers;
    for (std::size_t i = 0; i < words.size(); ++i) {
      takers.emplace_back([&, i] {
        for (int n = 0; n < 50; ++n) {
          token::take(words[i]);
          if (n % 7 == 0) token::give_up();
        }
      });
    }
    for (std::thread& taker : takers) taker.join();
    token::give_up();
    for (const std::uint32_t each : memory) REQUIRE(each == kBrief);
  }
}
