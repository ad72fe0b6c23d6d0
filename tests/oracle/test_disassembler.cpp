// objdump's second opinion on our decoder of x86-64: over every function of real libraries, the
// instruction that a jump would replace is one that objdump sees, and the code that continues the
// function elsewhere means what the function's own start meant.
//
//     corewise_disassembler FILE ...
#define DOCTEST_CONFIG_IMPLEMENT
#include <doctest/doctest.h>

#include <array>
#include <charconv>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/text.h"
#include "govern/patch/code.h"

using namespace corewise;
using govern::code::Function;
using govern::code::JumpSite;
using govern::code::kX86_64;

namespace {

// Such as the libraries' own; far from every function, within a jump's reach.
constexpr std::uintptr_t kMoved = 0x10000000;

std::vector<std::string> files;

struct Line {
  std::uintptr_t address = 0;
  std::vector<std::uint8_t> bytes;
  std::string meaning;  // names and operands, distances resolved
};

struct Disassembled {
  std::string name;
  std::vector<Line> lines;
};

std::string output_of(const std::string& command) {
  std::string text;
  std::array<char, 1 << 16> piece;
  FILE* pipe = ::popen(command.c_str(), "r");
  REQUIRE(pipe != nullptr);
  while (const std::size_t size = std::fread(piece.data(), 1, piece.size(), pipe)) {
    text.append(piece.data(), size);
  }
  REQUIRE(::pclose(pipe) == 0);
  return text;
}

std::uintptr_t hexadecimal(std::string_view text) {
  std::uintptr_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value, 16);
  return value;
}

// "lea 0x2f(%rip),%rdi  # 1234 <name+0x4>" and "call 1234 <name>" without names and distances: a
// name may differ where an address is the same, and a distance must where the code has moved.
std::string meaning_of(std::string_view text) {
  std::string goal;
  if (const std::size_t comment = text.find('#'); comment != text.npos) {
    goal = trim(text.substr(comment + 1));
    goal = goal.substr(0, goal.find(' '));
    text = trim(text.substr(0, comment));
    const std::size_t rip = text.find("(%rip)");
    const std::size_t distance = text.find_last_of(" ,*", rip) + 1;
    return std::string(text.substr(0, distance)) +
           std::to_string(hexadecimal(goal.substr(goal.starts_with("0x") ? 2 : 0))) +
           std::string(text.substr(rip));
  }
  text = trim(text.substr(0, text.find('<')));
  const std::size_t space = text.find_last_of(' ');
  const std::string_view name = text.substr(0, text.find(' '));
  if (name == "call" || name == "jmp") {
    std::string_view to = text.substr(space + 1);
    if (to.starts_with("0x")) to.remove_prefix(2);
    return std::string(name) + " " + std::to_string(hexadecimal(to));
  }
  return std::string(text);
}

// A line such as "  1139:\t55                   \tpush   %rbp".
bool read_line(std::string_view text, Line& line) {
  const std::size_t colon = text.find(":\t");
  if (!text.starts_with(' ') || colon == text.npos) return false;
  line.address = hexadecimal(trim(text.substr(0, colon)));
  text.remove_prefix(colon + 2);
  std::string_view bytes = cut(text, '\t');
  line.bytes.clear();
  for (bytes = trim(bytes); !bytes.empty();) {
    const std::string_view byte = cut(bytes, ' ');
    if (!byte.empty()) line.bytes.push_back(static_cast<std::uint8_t>(hexadecimal(byte)));
  }
  line.meaning = meaning_of(text);
  return !line.bytes.empty();
}

std::vector<Disassembled> disassemble(const std::string& arguments) {
  const std::string text = output_of("LC_ALL=C objdump -d -w --insn-width=16 " + arguments);
  std::vector<Disassembled> out;
  for (std::string_view rest = text; !rest.empty();) {
    const std::string_view one = cut(rest, '\n');
    Line line;
    if (one.ends_with(">:")) {
      out.push_back({std::string(one.substr(one.find('<'))), {}});
    } else if (!out.empty() && read_line(one, line)) {
      out.back().lines.push_back(std::move(line));
    }
  }
  return out;
}

std::vector<std::uint8_t> bytes_of(const Disassembled& function) {
  std::vector<std::uint8_t> bytes;
  for (const Line& line : function.lines) {
    bytes.insert(bytes.end(), line.bytes.begin(), line.bytes.end());
  }
  return bytes;
}

// The lines up to the one that holds `site`; empty if no line begins and ends as the site does.
std::vector<Line> lines_to(const Disassembled& function, const JumpSite& site) {
  std::vector<Line> out;
  std::size_t at = 0;
  for (const Line& line : function.lines) {
    out.push_back(line);
    if (at == site.offset && line.bytes.size() == site.length) return out;
    at += line.bytes.size();
  }
  return {};
}

struct Moved {
  std::string function;
  std::vector<std::string> meanings;
  std::uintptr_t at = 0;
};

// All moved code in one file, each at its own address: one run of objdump reads them.
void check_moved(const std::vector<Moved>& all, const std::vector<std::uint8_t>& code,
                 const std::string& file) {
  std::ofstream(file, std::ios::binary)
      .write(reinterpret_cast<const char*>(code.data()), static_cast<std::streamsize>(code.size()));
  const auto whole = disassemble(
      "-b binary -m i386:x86-64 -D --adjust-vma=" + std::to_string(kMoved) + " '" + file + "'");
  REQUIRE(whole.size() == 1);
  std::map<std::uintptr_t, std::size_t> line_at;
  for (std::size_t i = 0; i < whole[0].lines.size(); ++i) line_at[whole[0].lines[i].address] = i;
  for (const Moved& moved : all) {
    CAPTURE(moved.function);
    const auto first = line_at.find(moved.at);
    REQUIRE(first != line_at.end());
    for (std::size_t i = 0; i < moved.meanings.size(); ++i) {
      CHECK(whole[0].lines.at(first->second + i).meaning == moved.meanings[i]);
    }
  }
}

}  // namespace

TEST_CASE("objdump sees the instructions that our decoder sees") {
  std::size_t sites = 0;
  std::vector<Moved> all;
  std::vector<std::uint8_t> code;
  for (const std::string& file : files) {
    CAPTURE(file);
    for (const Disassembled& function : disassemble("'" + file + "'")) {
      if (function.lines.empty()) continue;
      CAPTURE(function.name);
      const auto bytes = bytes_of(function);
      for (const int arguments : {0, 3, 6}) {
        const Function ours{function.lines[0].address, bytes, arguments};
        const auto site = kX86_64.find_site(ours);
        if (!site) continue;
        ++sites;
        const auto lines = lines_to(function, *site);
        REQUIRE_FALSE(lines.empty());
        const std::uintptr_t at = kMoved + code.size();
        const auto moved = kX86_64.resume(ours, *site, at);
        REQUIRE(moved);
        std::vector<std::string> meanings;
        for (const Line& line : lines) meanings.push_back(line.meaning);
        all.push_back({function.name, std::move(meanings), at});
        code.insert(code.end(), moved->begin(), moved->end());
        // The jump's address reads as some instruction; let it end before the next piece.
        code.insert(code.end(), 16, 0x90);
      }
    }
  }
  MESSAGE(sites << " sites in " << files.size() << " files");
  CHECK(sites > 1000);
  check_moved(all, code, "moved.bin");
}

int main(int argc, char** argv) {
  files.assign(argv + 1, argv + argc);
  return doctest::Context().run();
}
