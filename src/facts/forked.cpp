#include "forked.h"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string_view>
#include <system_error>

#include "base/text.h"
#include "os/os.h"

namespace corewise {
namespace {

struct Stat {
  int parent = 0;
  std::int64_t started = 0;  // in ticks since boot
};

std::optional<Stat> read_stat(const std::string& folder) {
  const auto text = os::read_file(folder + "/stat");
  // The name, in parentheses, may hold anything.
  const std::size_t name = text ? text->rfind(") ") : std::string::npos;
  if (name == std::string::npos) return std::nullopt;
  std::string_view rest = std::string_view(*text).substr(name + 2);
  Stat stat;
  for (int field = 3; field <= 22; ++field) {
    const auto number = parse_integer(cut(rest, ' '));
    if (field == 4 && number) stat.parent = static_cast<int>(*number);
    if (field == 22 && number) stat.started = *number;
  }
  return stat.parent > 0 && stat.started > 0 ? std::optional(stat) : std::nullopt;
}

std::vector<os::Mapping> code_of(const std::string& folder,
                                 const std::vector<std::string>& libraries) {
  const auto text = os::read_file(folder + "/maps");
  std::vector<os::Mapping> code = text ? os::parse_maps(*text) : std::vector<os::Mapping>();
  std::erase_if(code, [&](const os::Mapping& mapping) {
    return !mapping.executable ||
           std::find(libraries.begin(), libraries.end(), mapping.path) == libraries.end();
  });
  return code;
}

// Where a thread waits: the last word of "number arguments... stack-pointer instruction-pointer".
std::uintptr_t waits_at(const std::string& task) {
  const auto text = os::read_file(task + "/syscall");
  if (!text) return 0;
  const std::string_view line = trim(*text);
  const std::size_t at = line.rfind(" 0x");
  std::uintptr_t address = 0;
  if (at != line.npos)
    std::from_chars(line.data() + at + 3, line.data() + line.size(), address, 16);
  return address;
}

}  // namespace

bool forked_after_openmp(const std::string& proc, int pid,
                         const std::vector<std::string>& libraries) {
  if (libraries.empty()) return false;
  const std::string own = proc + "/" + std::to_string(pid);
  const auto child = read_stat(own);
  if (!child) return false;
  const std::string parent = proc + "/" + std::to_string(child->parent);
  std::vector<os::Mapping> shared = code_of(parent, libraries);
  const std::vector<os::Mapping> mine = code_of(own, libraries);
  std::erase_if(shared, [&](const os::Mapping& theirs) {
    return std::none_of(mine.begin(), mine.end(), [&](const os::Mapping& mapping) {
      return mapping.begin == theirs.begin && mapping.end == theirs.end;
    });
  });
  if (shared.empty()) return false;

  std::error_code gone;
  std::filesystem::directory_iterator task(parent + "/task", gone);
  for (; !gone && task != std::filesystem::directory_iterator(); task.increment(gone)) {
    const std::string folder = task->path().string();
    if (task->path().filename() == std::to_string(child->parent)) continue;
    const std::uintptr_t at = waits_at(folder);
    const bool worker = std::any_of(shared.begin(), shared.end(), [&](const os::Mapping& mapping) {
      return at >= mapping.begin && at < mapping.end;
    });
    if (!worker) continue;
    const auto stat = read_stat(folder);
    if (stat && stat->started <= child->started) return true;
  }
  return false;
}

}  // namespace corewise
