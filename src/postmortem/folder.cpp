#include "folder.h"

#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <utility>
#include <vector>

#include "../os/private_folder.h"

namespace corewise::postmortem {
namespace {

constexpr std::size_t kMostKept = 20;

std::string variable(const char* name) {
  const char* value = std::getenv(name);  // NOLINT(concurrency-mt-unsafe)
  return value != nullptr && value[0] == '/' ? value : "";
}

// In the order of preference.
std::vector<std::string> candidates() {
  std::vector<std::string> all;
  if (const std::string state = variable("XDG_STATE_HOME"); !state.empty()) {
    all.push_back(state + "/corewise");
  } else if (const std::string home = variable("HOME"); !home.empty()) {
    all.push_back(home + "/.local/state/corewise");
  }
  all.push_back("/tmp/corewise-" + std::to_string(::geteuid()));
  return all;
}

struct Report {
  std::string path;
  timespec at{};
};

// Newest first: of files that are this user's alone.
std::vector<Report> reports(const std::string& folder) {
  std::vector<Report> found;
  const std::unique_ptr<DIR, int (*)(DIR*)> open(::opendir(folder.c_str()), ::closedir);
  if (!open) return found;
  while (const dirent* entry = ::readdir(open.get())) {  // NOLINT(concurrency-mt-unsafe): own DIR
    const std::string name = entry->d_name;
    struct stat seen{};
    if (!name.ends_with(".json")) continue;
    Report report{folder + "/" + name, {}};
    if (::lstat(report.path.c_str(), &seen) != 0 || !S_ISREG(seen.st_mode)) continue;
    if (seen.st_uid != ::geteuid()) continue;
    report.at = seen.st_mtim;
    found.push_back(std::move(report));
  }
  std::ranges::sort(found, [](const Report& a, const Report& b) {
    return std::pair(a.at.tv_sec, a.at.tv_nsec) > std::pair(b.at.tv_sec, b.at.tv_nsec);
  });
  return found;
}

}  // namespace

Result<std::string> make_death_folder() {
  std::string why;
  for (const std::string& folder : candidates()) {
    for (std::size_t at = folder.find('/', 1); at != folder.npos; at = folder.find('/', at + 1)) {
      ::mkdir(folder.substr(0, at).c_str(), 0700);
    }
    const std::string wrong = os::make_private_folder(folder);
    if (!wrong.empty()) {
      why += (why.empty() ? "" : "; ") + folder + ": " + wrong;
      continue;
    }
    const std::vector<Report> all = reports(folder);
    for (std::size_t i = kMostKept; i < all.size(); ++i) ::unlink(all[i].path.c_str());
    return folder;
  }
  return Error{CW_NOT_PERMITTED, "there is no private folder for reports of deaths: " + why};
}

std::string newest_report() {
  Report newest;
  for (const std::string& folder : candidates()) {
    for (Report& report : reports(folder)) {
      if (newest.path.empty() || std::pair(report.at.tv_sec, report.at.tv_nsec) >
                                     std::pair(newest.at.tv_sec, newest.at.tv_nsec)) {
        newest = std::move(report);
      }
      break;
    }
  }
  return newest.path;
}

}  // namespace corewise::postmortem
