#include "installed_version.h"

#include <filesystem>
#include <system_error>

#include "../text.h"

namespace corewise::govern {
namespace {

std::optional<std::string_view> version_in(std::string_view entry, std::string_view name) {
  if (!entry.starts_with(name) || entry.substr(name.size(), 1) != "-") return std::nullopt;
  std::string_view rest = entry.substr(name.size() + 1);
  for (const std::string_view end : {".dist-info", ".egg-info"}) {
    if (!rest.ends_with(end)) continue;
    rest.remove_suffix(end.size());
    return cut(rest, '-');
  }
  return std::nullopt;
}

}  // namespace

std::optional<std::string> installed_version(const std::string& folder, std::string_view name) {
  std::optional<std::string> found;
  std::error_code failed;
  std::filesystem::directory_iterator entry(folder, failed);
  for (; !failed && entry != std::filesystem::directory_iterator(); entry.increment(failed)) {
    const std::string file = entry->path().filename().string();
    const auto version = version_in(file, name);
    if (!version) continue;
    if (found && *found != *version) return std::nullopt;
    found = *version;
  }
  return failed ? std::nullopt : found;
}

}  // namespace corewise::govern
