// The kernel's lists and masks of CPUs, and the numbers users write.
#include <doctest/doctest.h>

#include <random>

#include "base/cpuset.h"
#include "base/text.h"

using namespace corewise;

namespace {

std::string round_trip(std::string_view text) {
  const auto set = parse_cpulist(text);
  return set ? set->to_list() : "refused";
}

}  // namespace

TEST_CASE("a CPU list is read as the kernel means it") {
  CHECK(round_trip("0") == "0");
  CHECK(round_trip("0-3,8,10-11\n") == "0-3,8,10-11");
  CHECK(round_trip("") == "");
  CHECK(round_trip("\n") == "");
  CHECK(round_trip("0,1,2,3") == "0-3");
  CHECK(round_trip("8191") == "8191");
  CHECK(round_trip("0-8191") == "0-8191");
  CHECK(round_trip("0-15:2/4") == "0-1,4-5,8-9,12-13");
  CHECK(parse_cpulist("0-8191")->count() == 8192);
}

TEST_CASE("a CPU list that no kernel writes is refused") {
  for (const char* text : {"8192",
                           "0-8192",
                           "3-1",
                           "-1",
                           "1-",
                           "1,,2",
                           ",1",
                           "1,",
                           "a",
                           "0x1",
                           "1 2",
                           "3,1",
                           "0-3,2",
                           "0-3:",
                           "0-3:0/4",
                           "0-3:5/4",
                           "0:1/2",
                           "1-2-3",
                           "99999999999999999999",
                           "0-3:1/",
                           "+1"}) {
    CAPTURE(text);
    CHECK_FALSE(parse_cpulist(text));
  }
}

TEST_CASE("a CPU mask is read from its last group") {
  CHECK(parse_cpumask("ff")->to_list() == "0-7");
  CHECK(parse_cpumask("00000001,80000000\n")->to_list() == "31-32");
  CHECK(parse_cpumask("0")->empty());
  for (const char* text : {"", ",", "1,", ",1", "g", "123456789", "1,,1", "0x1"}) {
    CAPTURE(text);
    CHECK_FALSE(parse_cpumask(text));
  }
  std::string wide = "1";
  for (int i = 1; i < 256; ++i) wide += ",0";
  CHECK(parse_cpumask(wide)->to_list() == std::to_string(255 * 32));
  CHECK_FALSE(parse_cpumask(wide + ",0"));
}

TEST_CASE("what to_list writes, parse_cpulist reads back") {
  std::mt19937 random(20261122);
  for (int round = 0; round < 2000; ++round) {
    CpuSet set;
    const auto size = random() % 200;
    for (unsigned i = 0; i < size; ++i) set.add(random() % (round % 2 ? 64 : CpuSet::kCapacity));
    const auto again = parse_cpulist(set.to_list());
    REQUIRE(again);
    REQUIRE(*again == set);
  }
}

TEST_CASE("next walks the members in order") {
  const CpuSet set = *parse_cpulist("0,63-64,8191");
  CHECK(set.next(0) == 0);
  CHECK(set.next(1) == 63);
  CHECK(set.next(64) == 64);
  CHECK(set.next(65) == 8191);
  CHECK(set.next(8192) == CpuSet::kCapacity);
  CHECK(CpuSet().next(0) == CpuSet::kCapacity);
  CHECK_FALSE(set.has(100000));
}

TEST_CASE("a number of CPUs is above 0 and finite") {
  CHECK(parse_cpus("8") == 8);
  CHECK(parse_cpus(" 1.5\n") == 1.5);
  CHECK(parse_cpus("500m") == 0.5);
  for (const char* text : {"", "0", "-1", "nan", "inf", "1e3", "m", "1,5", "8 CPUs", "0m", "--1"}) {
    CAPTURE(text);
    CHECK_FALSE(parse_cpus(text));
  }
}

TEST_CASE("numbers and quotes are written for people") {
  CHECK(format_cpus(8) == "8");
  CHECK(format_cpus(1.5) == "1.5");
  CHECK(format_cpus(7.0 / 3) == "2.333");
  CHECK(format_cpus(100) == "100");
  CHECK(format_cpus(1e308).size() == 309);
  CHECK(quote("a\"\x01\xff") == "'a\"\\x01\\xff'");
  CHECK(quote(std::string(100, 'x')) == "'" + std::string(40, 'x') + "'...");
}
