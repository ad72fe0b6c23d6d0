#include "folder.h"

#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <functional>
#include <iterator>
#include <memory>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "base/text.h"
#include "os/os.h"
#include "os/private_folder.h"

namespace corewise::death {
namespace {

constexpr std::size_t kMostKept = 20;

// A variable that holds an absolute path; empty if it holds anything else.
std::string path_in(const char* name) {
  const std::string_view value = os::variable(name).value_or("");
  return std::string(value.starts_with('/') ? value : "");
}

// In order of preference, unchecked.
std::vector<Folder> candidates() {
  std::vector<Folder> all;
  if (const std::string state = path_in("XDG_STATE_HOME"); !state.empty()) {
    all.push_back({state + "/corewise", 0});
  } else if (const std::string home = path_in("HOME"); !home.empty()) {
    // "/nonexistent" is Debian's word for no home.
    all.push_back({home + "/.local/state/corewise", home.size()});
  }
  all.push_back({"/tmp/corewise-" + std::to_string(::geteuid()), 0});
  return all;
}

struct DatedFile {
  std::string path;
  timespec at{};
};

void newest_first(std::vector<DatedFile>& all) {
  std::ranges::sort(all, std::greater<>(), [](const DatedFile& report) {
    return std::tuple(report.at.tv_sec, report.at.tv_nsec, report.path);
  });
}

// Newest first; only files that belong to this user.
std::vector<DatedFile> reports(const Folder& folder) {
  std::vector<DatedFile> found;
  const int fd = os::open_private_folder(folder.path.c_str(), folder.given, os::Missing::leave);
  const std::unique_ptr<DIR, int (*)(DIR*)> open(fd >= 0 ? ::fdopendir(fd) : nullptr, ::closedir);
  if (!open && fd >= 0) ::close(fd);
  if (!open) return found;
  while (const dirent* entry = ::readdir(open.get())) {  // NOLINT(concurrency-mt-unsafe): own DIR
    const std::string name = entry->d_name;
    struct stat seen{};
    if (!name.ends_with(".json")) continue;
    DatedFile report{folder.path + "/" + name, {}};
    if (::lstat(report.path.c_str(), &seen) != 0 || !S_ISREG(seen.st_mode)) continue;
    if (seen.st_uid != ::geteuid()) continue;
    report.at = seen.st_mtim;
    found.push_back(std::move(report));
  }
  newest_first(found);
  return found;
}

}  // namespace

Result<std::vector<Folder>> death_folders() {
  std::vector<Folder> usable;
  std::string why;
  for (Folder& folder : candidates()) {
    const int fd = os::open_private_folder(folder.path.c_str(), folder.given, os::Missing::leave);
    const int reason = errno;
    if (fd >= 0) ::close(fd);
    if (fd >= 0 || reason == ENOENT) {
      usable.push_back(std::move(folder));
    } else {
      why += (why.empty() ? "" : "; ") + folder.path + ": " + system_says(reason);
    }
  }
  if (!usable.empty()) return usable;
  return Error{CW_NOT_PERMITTED, "there is no private folder for reports of deaths: " + why};
}

void remove_old_reports(const std::vector<Folder>& folders) {
  for (const Folder& folder : folders) {
    const std::vector<DatedFile> all = reports(folder);
    for (std::size_t i = kMostKept; i < all.size(); ++i) ::unlink(all[i].path.c_str());
  }
}

std::vector<std::string> reports_by_age() {
  std::vector<DatedFile> all;
  for (const Folder& folder : candidates())
    std::ranges::move(reports(folder), std::back_inserter(all));
  newest_first(all);
  std::vector<std::string> paths;
  for (DatedFile& report : all) paths.push_back(std::move(report.path));
  return paths;
}

std::string own_notebook() {
  constexpr std::size_t kLongest = 1024;  // a report has room for this much
  const std::string_view path = os::variable("JPY_SESSION_NAME").value_or("");
  return std::string(path.size() <= kLongest && !file_name(path).empty() ? path : "");
}

}  // namespace corewise::death
