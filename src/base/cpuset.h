// A set of CPU numbers, and the two ways the kernel writes one: "0-3,8" and "ff,00000001".
//
// Numbers go up to 8191, the most a Linux kernel can be built for. The parsers accept any bytes,
// read each once, and return nothing rather than guess.
#pragma once

#include <bitset>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace corewise {

class CpuSet {
 public:
  static constexpr std::size_t kCapacity = 8192;

  void add(std::size_t cpu) { bits_.set(cpu); }  // cpu < kCapacity
  bool has(std::size_t cpu) const { return cpu < kCapacity && bits_.test(cpu); }
  int count() const { return static_cast<int>(bits_.count()); }
  bool empty() const { return bits_.none(); }

  // The smallest member that is at least `from`; kCapacity if there is none.
  std::size_t next(std::size_t from) const;

  // "0-3,8": what parse_cpulist reads.
  std::string to_list() const;

  CpuSet& operator&=(const CpuSet& other) {
    bits_ &= other.bits_;
    return *this;
  }
  CpuSet& operator|=(const CpuSet& other) {
    bits_ |= other.bits_;
    return *this;
  }
  friend CpuSet operator&(CpuSet a, const CpuSet& b) { return a &= b; }
  friend bool operator==(const CpuSet&, const CpuSet&) = default;

 private:
  std::bitset<kCapacity> bits_;
};

// A kernel list: ascending numbers and ranges, separated by commas. A range may have a pattern as
// in "0-31:2/4" (the first 2 of every 4). Blanks around the list are ignored. An empty list is the
// empty set, as the kernel writes it.
std::optional<CpuSet> parse_cpulist(std::string_view text);

// A kernel mask: groups of up to 8 hexadecimal digits, separated by commas, highest CPUs first.
std::optional<CpuSet> parse_cpumask(std::string_view text);

}  // namespace corewise
