#include "forked.h"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <string_view>

#include "base/text.h"
#include "observe/tasks.h"
#include "os/os.h"

namespace corewise {
namespace {

// A process or a thread; its start is 0 if the kernel does not tell.
observe::Task task_of(const std::string& folder) {
  const auto stat = os::read_file(folder + "/stat");
  return stat ? observe::parse_task(*stat, {}) : observe::Task();
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
  const observe::Task child = task_of(own);
  if (child.parent <= 0 || child.start == 0) return false;
  const std::string parent_id = std::to_string(child.parent);
  const std::string parent = proc + "/" + parent_id;
  std::vector<os::Mapping> shared = code_of(parent, libraries);
  const std::vector<os::Mapping> mine = code_of(own, libraries);
  std::erase_if(shared, [&](const os::Mapping& theirs) {
    return std::none_of(mine.begin(), mine.end(), [&](const os::Mapping& mapping) {
      return mapping.begin == theirs.begin && mapping.end == theirs.end;
    });
  });
  if (shared.empty()) return false;

  const std::string tasks = parent + "/task/";
  for (const std::string& name : os::names_in(tasks)) {
    if (name == parent_id) continue;
    const std::string folder = tasks + name;
    const std::uintptr_t at = waits_at(folder);
    const bool worker = std::any_of(shared.begin(), shared.end(), [&](const os::Mapping& mapping) {
      return at >= mapping.begin && at < mapping.end;
    });
    if (!worker) continue;
    const std::uint64_t start = task_of(folder).start;
    if (start != 0 && start <= child.start) return true;
  }
  return false;
}

}  // namespace corewise
