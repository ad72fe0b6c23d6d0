#include "trusted_local.h"

#include <algorithm>
#include <vector>

namespace corewise::elf {
namespace {

constexpr std::uint64_t kMost = 65536;

bool is_writable(const File& file, std::uint64_t address) {
  return std::ranges::any_of(file.loads(), [&](const File::Load& load) {
    return load.writable && address >= load.address && address - load.address < load.memory_size;
  });
}

}  // namespace

std::optional<Symbol> trusted_local(const File& file, const Bytes& memory, std::uint64_t base,
                                    std::string_view name) {
  const auto symbol = file.find_local(name);
  if (!symbol || symbol->size == 0 || symbol->size > kMost) return std::nullopt;
  std::vector<char> now(symbol->size);
  if (!memory.read(base + symbol->value, now.data(), now.size())) return std::nullopt;
  if (is_writable(file, symbol->value)) return symbol;
  std::vector<char> then(symbol->size);
  const bool same = file.read(symbol->value, then.data(), then.size()) && now == then;
  return same ? symbol : std::nullopt;
}

}  // namespace corewise::elf
