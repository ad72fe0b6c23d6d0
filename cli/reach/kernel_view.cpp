#include "kernel_view.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <string_view>

#include "base/text.h"
#include "os/os.h"

namespace corewise::cli {

std::optional<double> machine_ready() {
  const auto text = os::read_file("/proc/stat");
  for (std::string_view rest = text ? std::string_view(*text) : ""; !rest.empty();) {
    std::string_view line = cut(rest, '\n');
    if (cut(line, ' ') != "procs_running") continue;
    const auto count = parse_integer(line);
    return count ? std::optional(static_cast<double>(*count)) : std::nullopt;
  }
  return std::nullopt;
}

bool is_there(int pid) { return ::access(fmt::format("/proc/{}", pid).c_str(), F_OK) == 0; }

std::string command_of(int pid) {
  const std::string folder = "/proc/" + std::to_string(pid);
  auto text = os::read_file(folder + "/cmdline", 4096);
  if (!text || text->empty()) text = os::read_file(folder + "/comm", 4096);
  if (!text) return "?";
  while (!text->empty() && (text->back() == '\0' || text->back() == '\n')) text->pop_back();
  std::ranges::replace(*text, '\0', ' ');
  return *text;
}

}  // namespace corewise::cli
