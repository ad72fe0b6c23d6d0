#include <doctest/doctest.h>

#include "os/os.h"

using corewise::os::Mapping;
using corewise::os::parse_maps;

TEST_CASE("a line of each kind") {
  const auto maps = parse_maps(
      "55d0c0a00000-55d0c0a01000 r--p 00000000 08:01 123                        /usr/bin/x\n"
      "7f0000000000-7f0000001000 r-xp 00002000 08:01 124    /lib/a b.so\n"
      "7f0000001000-7f0000002000 rw-p 00000000 00:00 0 \n"
      "7ffd00000000-7ffd00021000 rw-p 00000000 00:00 0                          [stack]\n"
      "7f0000003000-7f0000004000 ---s 00000000 00:01 99 /memfd:x (deleted)");
  REQUIRE(maps.size() == 5);
  CHECK(maps[0].begin == 0x55d0c0a00000);
  CHECK(maps[0].end == 0x55d0c0a01000);
  CHECK(maps[0].readable);
  CHECK_FALSE(maps[0].executable);
  CHECK(maps[0].path == "/usr/bin/x");
  CHECK(maps[1].executable);
  CHECK(maps[1].offset == 0x2000);
  CHECK(maps[1].path == "/lib/a b.so");
  CHECK(maps[2].path.empty());
  CHECK(maps[3].path == "[stack]");
  CHECK(maps[4].deleted);
  CHECK_FALSE(maps[4].readable);
  CHECK(maps[4].path == "/memfd:x");
}

TEST_CASE("paths with newlines, spaces and bytes that are not UTF-8") {
  const auto maps = parse_maps("1000-2000 r--p 0 08:01 1 /a\\012b\\01 c\xff.so\n");
  REQUIRE(maps.size() == 1);
  CHECK(maps[0].path == "/a\nb\\01 c\xff.so");
}

TEST_CASE("lines that make no sense are skipped") {
  const char* const lines[] = {
      "",
      "nonsense",
      "2000-1000 r--p 0 0:0 1 /x",
      "1000-1000 r--p 0 0:0 1 /x",
      "1000-2000",
      "1000-2000 r",
      "1000-2000 r--p zz 0:0 1 /x",
      "1000-2000 r--p 0 0:0",
      "-2000 r--p 0 0:0 1 /x",
      "10000000000000000-2 r--p 0 0:0 1 /x",
      "1000-2000 r--p",
      "+1000-2000 r--p 0 0:0 1",
      "1000-2000 toolong 0 0:0 1 /x",
  };
  for (const char* line : lines) {
    INFO(line);
    CHECK(parse_maps(line).empty());
    CHECK(parse_maps(std::string(line) + "\n1000-2000 r--p 0 0:0 1 /x\n").size() == 1);
  }
}

TEST_CASE("the process's own maps hold this program") {
  const auto text = corewise::os::read_file("/proc/self/maps");
  REQUIRE(text);
  const std::string self = corewise::os::real_path("/usr/../usr");
  CHECK(self == "/usr");
  bool code = false;
  const auto here = reinterpret_cast<std::uintptr_t>(&parse_maps);
  for (const Mapping& mapping : parse_maps(*text)) {
    code |= mapping.executable && mapping.begin <= here && here < mapping.end;
  }
  CHECK(code);
}
