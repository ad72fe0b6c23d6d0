#include "cpuset.h"

#include <cstdint>
#include <vector>

#include "text.h"

namespace corewise {
namespace {

std::optional<std::size_t> parse_cpu(std::string_view text) {
  const auto value = parse_integer(text);
  if (!value || *value < 0 || *value >= static_cast<std::int64_t>(CpuSet::kCapacity)) {
    return std::nullopt;
  }
  return static_cast<std::size_t>(*value);
}

// "2/4" of "0-31:2/4".
bool parse_pattern(std::string_view text, std::size_t& used, std::size_t& group) {
  const auto a = parse_cpu(cut(text, '/'));
  const auto b = parse_cpu(text);
  if (!a || !b || *a == 0 || *b < *a) return false;
  used = *a;
  group = *b;
  return true;
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

}  // namespace

std::size_t CpuSet::next(std::size_t from) const {
  if (from == 0) return bits_._Find_first();
  return from >= kCapacity ? kCapacity : bits_._Find_next(from - 1);
}

std::string CpuSet::to_list() const {
  std::string list;
  for (std::size_t first = next(0); first < kCapacity;) {
    std::size_t last = first;
    while (has(last + 1)) ++last;
    if (!list.empty()) list += ',';
    list += std::to_string(first);
    if (last > first) list += '-' + std::to_string(last);
    first = next(last + 1);
  }
  return list;
}

std::optional<CpuSet> parse_cpulist(std::string_view text) {
  CpuSet set;
  text = trim(text);
  if (text.empty()) return set;
  if (text.ends_with(',')) return std::nullopt;
  for (std::size_t lowest = 0; !text.empty();) {
    std::string_view item = cut(text, ',');
    const bool has_pattern = item.find(':') != std::string_view::npos;
    std::string_view range = cut(item, ':');
    const bool is_range = range.find('-') != std::string_view::npos;
    const auto first = parse_cpu(cut(range, '-'));
    const auto last = is_range ? parse_cpu(range) : first;
    if (!first || !last || *last < *first || (has_pattern && !is_range)) return std::nullopt;
    // Ascending, so that no text can make us add the same CPUs again and again.
    if (*first < lowest) return std::nullopt;
    lowest = *last + 1;
    std::size_t used = 1;
    std::size_t group = 1;
    if (has_pattern && !parse_pattern(item, used, group)) return std::nullopt;
    for (std::size_t cpu = *first; cpu <= *last; ++cpu) {
      if ((cpu - *first) % group < used) set.add(cpu);
    }
  }
  return set;
}

std::optional<CpuSet> parse_cpumask(std::string_view text) {
  text = trim(text);
  std::vector<std::uint32_t> words;  // the highest first
  do {
    const bool more = text.find(',') != std::string_view::npos;
    const std::string_view group = cut(text, ',');
    if (group.empty() || group.size() > 8 || (more && text.empty())) return std::nullopt;
    std::uint32_t word = 0;
    for (const char c : group) {
      const int digit = hex_digit(c);
      if (digit < 0) return std::nullopt;
      word = (word << 4) | static_cast<std::uint32_t>(digit);
    }
    words.push_back(word);
    if (words.size() > CpuSet::kCapacity / 32) return std::nullopt;
  } while (!text.empty());
  CpuSet set;
  for (std::size_t i = 0; i < words.size(); ++i) {
    const std::uint32_t word = words[words.size() - 1 - i];
    for (std::size_t bit = 0; bit < 32; ++bit) {
      if ((word >> bit) & 1u) set.add(i * 32 + bit);
    }
  }
  return set;
}

}  // namespace corewise
