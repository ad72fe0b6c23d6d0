#include "core_types.h"

#include <algorithm>
#include <array>

#include "base/text.h"

namespace corewise {
namespace {

struct CoreType {
  const char* name;
  int level;
};

// driver/others/dynamic.c
constexpr std::array<CoreType, 24> kCoreTypes = {{
    {"SkylakeX", 5},   {"Cooperlake", 5},  {"SapphireRapids", 5}, {"Haswell", 4},
    {"Zen", 4},        {"Excavator", 4},   {"Sandybridge", 3},    {"Bulldozer", 3},
    {"Piledriver", 3}, {"Steamroller", 3}, {"Nehalem", 2},        {"Penryn", 1},
    {"Dunnington", 1}, {"Core2", 1},       {"Prescott", 1},       {"Atom", 1},
    {"Nano", 1},       {"Opteron", 1},     {"Opteron_SSE3", 1},   {"Barcelona", 1},
    {"Bobcat", 1},     {"Katmai", 1},      {"Coppermine", 1},     {"Northwood", 1},
}};

bool has_words(std::string_view line, std::initializer_list<std::string_view> words) {
  return std::all_of(words.begin(), words.end(), [&](std::string_view word) {
    for (std::string_view rest = line; !rest.empty();) {
      if (cut(rest, ' ') == word) return true;
    }
    return false;
  });
}

}  // namespace

int core_type_level(std::string_view name) {
  const auto found = std::find_if(kCoreTypes.begin(), kCoreTypes.end(),
                                  [&](const CoreType& type) { return same_word(type.name, name); });
  return found == kCoreTypes.end() ? 0 : found->level;
}

std::string best_core_type(const os::Machine& machine) {
  const std::string text = machine.read("/proc/cpuinfo").text;
  std::string_view flags;
  bool amd = false;
  for (std::string_view rest = text; !rest.empty() && flags.empty();) {
    std::string_view value = cut(rest, '\n');
    const std::string_view name = trim(cut(value, ':'));
    if (name == "vendor_id") amd = trim(value) == "AuthenticAMD";
    if (name == "flags") flags = value;
  }
  if (flags.empty()) return {};
  if (has_words(flags, {"avx512f", "avx512dq", "avx512cd", "avx512bw", "avx512vl"})) {
    return "SkylakeX";
  }
  if (has_words(flags, {"avx2", "fma"})) return amd ? "Zen" : "Haswell";
  if (has_words(flags, {"avx"})) return amd ? "Bulldozer" : "Sandybridge";
  return has_words(flags, {"sse4_2"}) ? "Nehalem" : "Prescott";
}

}  // namespace corewise
