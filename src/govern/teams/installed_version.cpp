#include "installed_version.h"

#include <filesystem>
#include <system_error>

#include "base/json_reader.h"
#include "base/text.h"
#include "os/os.h"

namespace corewise::govern {
namespace {

constexpr std::size_t kMostRecord = std::size_t{4} << 20;

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

// A line is PATH,HASH,SIZE. A path with a comma is in quotes; no module's path has one.
bool records(std::string_view record, std::string_view file, std::uintmax_t size) {
  while (!record.empty()) {
    std::string_view line = trim(cut(record, '\n'));
    if (cut(line, ',') != file) continue;
    cut(line, ',');
    const auto noted = parse_integer(line);
    return noted && *noted >= 0 && static_cast<std::uintmax_t>(*noted) == size;
  }
  return false;
}

// Whether it was built elsewhere: an index (then there is no direct_url.json) or an archive had it.
bool is_a_release(const std::string& note) {
  const std::string path = note + "/direct_url.json";
  std::error_code failed;
  const auto there = std::filesystem::symlink_status(path, failed);
  if (there.type() == std::filesystem::file_type::not_found) return true;
  const auto text = os::read_file(path, kMostRecord);
  if (!text) return false;
  const auto origin = read_json(*text);
  return origin && origin->find("archive_info") != nullptr && origin->find("dir_info") == nullptr &&
         origin->find("vcs_info") == nullptr;
}

}  // namespace

std::optional<std::string> installed_version(const std::string& folder, std::string_view name,
                                             const std::string& file) {
  std::optional<std::string> found;
  std::string note;
  std::error_code failed;
  std::filesystem::directory_iterator entry(folder, failed);
  for (; !failed && entry != std::filesystem::directory_iterator(); entry.increment(failed)) {
    const std::string entry_name = entry->path().filename().string();
    const auto version = version_in(entry_name, name);
    if (!version) continue;
    if (found && *found != *version) return std::nullopt;
    found = *version;
    if (entry_name.ends_with(".dist-info")) note = entry->path().string();
  }
  if (failed || note.empty() || !is_a_release(note)) return std::nullopt;
  const std::uintmax_t size = std::filesystem::file_size(folder + "/" + file, failed);
  const auto record = os::read_file(note + "/RECORD", kMostRecord);
  return !failed && record && records(*record, file, size) ? found : std::nullopt;
}

}  // namespace corewise::govern
